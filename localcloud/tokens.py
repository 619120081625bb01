"""RS256 tokens: keys, signatures, certificates, and the claims that a verifier insists on."""

import base64
import datetime as dt
import hashlib
import time
from collections.abc import Callable, Container, Mapping
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, exceptions, jwt

MAX_TOKEN = 8_192
_BITS = 2048
_EXPONENT = 65_537
_KEPT_TOKENS = 2_000
_SKEW_SECONDS = 60


class TokenError(Exception):
    """A token that proves nothing; the message says why, without the token."""


class Key:
    """An RSA key, made when it is first needed (that takes about a tenth of a second)."""

    @cached_property
    def _private(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=_EXPONENT, key_size=_BITS)

    @cached_property
    def key_id(self) -> str:
        """Names the key in tokens and key sets."""
        return hashlib.sha256(self.public_pem).hexdigest()[:40]

    @cached_property
    def private_pem(self) -> str:
        """PKCS 8, unencrypted: what a service account's file holds."""
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @cached_property
    def public_pem(self) -> bytes:
        """What verifies its signatures."""
        return self._private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @cached_property
    def certificate(self) -> str:
        """A self-signed certificate (PEM), as Google's v1 certificate endpoint serves."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localcloud")])
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=365))
            .sign(self._private, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
            .decode()
        )

    @cached_property
    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key."""
        numbers = self._private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": self.key_id,
            "n": _base64url(numbers.n),
            "e": _base64url(numbers.e),
        }

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with these claims."""
        return bytes(jwt.encode(self._signer, dict(claims))).decode()  # type: ignore[no-untyped-call]  # google-auth has none

    @cached_property
    def _signer(self) -> Any:
        pem, key_id = self.private_pem, self.key_id
        return crypt.RSASigner.from_string(pem, key_id=key_id)  # type: ignore[no-untyped-call]  # as above


class Verifier:
    """Verifies tokens of one key, and remembers those it has verified until they expire."""

    def __init__(self, key: Key, now: Callable[[], float] = time.time) -> None:
        self._key = key
        self._now = now
        self._known: dict[str, Mapping[str, Any]] = {}

    def verify(
        self, token: str, *, issuers: Container[str], audiences: Container[str] | None
    ) -> Mapping[str, Any]:
        """Return the claims of a token. Without `audiences` any is accepted. Raises TokenError."""
        claims = self._known.get(token)
        if claims is None:
            claims = self._decode(token)
            if len(self._known) >= _KEPT_TOKENS:
                self._known.clear()
            self._known[token] = claims
        if claims["exp"] <= self._now():
            self._known.pop(token, None)
            raise TokenError("the token is expired")
        if claims.get("iss") not in issuers:
            raise TokenError("the token is not of an issuer that counts here")
        if audiences is not None and claims.get("aud") not in audiences:
            raise TokenError("the token is meant for another audience")
        return claims

    def _decode(self, token: str) -> Mapping[str, Any]:
        if len(token) > MAX_TOKEN:
            raise TokenError("the token is too long")
        try:
            pem = self._key.public_pem
            claims = jwt.decode(token, certs=pem, clock_skew_in_seconds=_SKEW_SECONDS)  # type: ignore[no-untyped-call]  # as above
        except (ValueError, TypeError, RecursionError, exceptions.GoogleAuthError) as error:
            raise TokenError("the token's form, signature or time is wrong") from error
        if not isinstance(claims, dict) or not isinstance(claims.get("exp"), int | float):
            raise TokenError("the token has no claims that count")
        return claims


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
