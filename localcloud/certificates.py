"""A certificate authority for one run: what `--tls` presents, and what a stranger would present.

Keys live in memory and, while a TLS context reads them, in a file of mode 0600. Sessions are never
resumed: who came back with an old ticket would not look at the certificate again.
"""

import datetime as dt
import ipaddress
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

_DAYS = 30
_CLOCKS_APART = dt.timedelta(hours=1)


class Authority:
    """A certificate authority that nobody trusts unless they are told to."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        """Its certificate, for whoever is to trust it."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def context(self, hosts: Sequence[str]) -> ssl.SSLContext:
        """What a server with these names and addresses presents."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localcloud")])
        certificate = (
            _builder(subject, self._name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_named(host) for host in hosts]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with tempfile.NamedTemporaryFile(prefix="localcloud-") as file:
            file.write(private + certificate.public_bytes(serialization.Encoding.PEM))
            file.flush()
            context.load_cert_chain(file.name)
        return context


class Certificates:
    """The clouds' own authority, the stranger, and the file of the first, which `remove` takes away."""

    def __init__(self, hosts: Sequence[str], path: Path | None = None) -> None:
        """Make both. Raises OSError where the file cannot be written."""
        self._hosts = tuple(dict.fromkeys(hosts))
        self._own = Authority("localcloud authority")
        self._stranger = Authority("an authority that nobody knows")
        self._temporary = path is None
        if path is None:
            with tempfile.NamedTemporaryFile(prefix="localcloud-ca-", suffix=".pem", delete=False) as file:
                path = Path(file.name)
        path.write_bytes(self._own.pem)
        self.file = path.resolve()

    def context(self, forged: Callable[[], bool]) -> ssl.SSLContext:
        """What a provider presents; `forged` is asked at each handshake whether it is the stranger's."""
        own, strange = self._own.context(self._hosts), self._stranger.context(self._hosts)

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            if forged():
                connection.context = strange

        own.sni_callback = choose
        return own

    def remove(self) -> None:
        """Remove a temporary file; one with a path of its own is the user's."""
        if self._temporary:
            self.file.unlink(missing_ok=True)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_APART)
        .not_valid_after(now + dt.timedelta(days=_DAYS))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
