"""Verifies AWS Signature Version 4, as the services do.

The algorithm: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
The canonical path is the path as sent, quoted once more (every service but S3). Derived signing
keys are valid for a day, region and service, and are kept.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

from localcloud.aws.errors import AwsError
from localcloud.executor import Call
from localcloud.settings import AwsCredential
from localcloud.strangers import same

_SERVICE = "lambda"
_MAX_SKEW_SECONDS = 300  # "Signature expired: ... (... - 5 min.)"
_KEPT_KEYS = 64
_ALGORITHM = "AWS4-HMAC-SHA256"
_DATE = re.compile(r"\d{8}T\d{6}Z")
_SPACES = re.compile(r" +")

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details."
)


class _Authorization(NamedTuple):
    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


class SigV4:
    """Knows the credentials of one region. `now` is epoch seconds."""

    def __init__(
        self, region: str, credentials: Sequence[AwsCredential], now: Callable[[], float] = time.time
    ) -> None:
        self._region = region
        self._credentials = {credential.access_key_id: credential for credential in credentials}
        self._now = now
        self._last_date = ("", 0.0)
        self._keys: dict[tuple[str, str], bytes] = {}

    def verify(self, call: Call) -> AwsCredential:
        """Return the credential that signed a request. Raises AwsError in AWS's own words."""
        given = _authorization(call)
        credential = self._credentials.get(given.access_key_id)
        if credential is None or not same(
            call.headers.get("X-Amz-Security-Token", ""), credential.session_token or ""
        ):
            raise AwsError(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            )
        if (given.region, given.service) != (self._region, _SERVICE):
            raise AwsError(
                "InvalidSignatureException",
                f"Credential should be scoped to a valid region and to service '{_SERVICE}'.",
            )
        amz_date = call.headers.get("X-Amz-Date", "")
        self._check_time(amz_date, given.date)
        _check_signed_headers(call, given.signed_headers)
        payload_hash = hashlib.sha256(call.body).hexdigest()
        if call.headers.get("X-Amz-Content-Sha256", payload_hash) != payload_hash:
            raise AwsError("InvalidSignatureException", _MISMATCH)
        request = _canonical_request(call, given.signed_headers, payload_hash)
        scope = f"{given.date}/{given.region}/{given.service}/aws4_request"
        to_sign = f"{_ALGORITHM}\n{amz_date}\n{scope}\n{hashlib.sha256(request).hexdigest()}"
        expected = hmac.new(self._key(credential, given.date), to_sign.encode(), hashlib.sha256).hexdigest()
        if not same(given.signature, expected):
            raise AwsError("InvalidSignatureException", _MISMATCH)
        if credential.expires_at is not None and credential.expires_at <= self._now():
            raise AwsError("ExpiredTokenException", "The security token included in the request is expired")
        return credential

    def _check_time(self, amz_date: str, scope_date: str) -> None:
        if not _DATE.fullmatch(amz_date):
            raise AwsError(
                "IncompleteSignatureException",
                "Date must be in ISO-8601 'basic format' (X-Amz-Date: YYYYMMDD'T'HHMMSS'Z').",
            )
        if not amz_date.startswith(scope_date):
            raise AwsError("InvalidSignatureException", "Date in Credential scope does not match X-Amz-Date.")
        if amz_date != self._last_date[0]:  # hundreds of calls a second name the same one
            try:
                sent = datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
            except ValueError:
                raise AwsError("IncompleteSignatureException", "X-Amz-Date is no date.") from None
            self._last_date = (amz_date, sent)
        sent = self._last_date[1]
        now = self._now()
        if abs(now - sent) > _MAX_SKEW_SECONDS:
            late = sent < now
            bound = _stamp(now - _MAX_SKEW_SECONDS if late else now + _MAX_SKEW_SECONDS)
            raise AwsError(
                "InvalidSignatureException",
                f"Signature {'expired' if late else 'not yet current'}: {amz_date} is "
                f"{'now earlier' if late else 'still later'} than {bound} "
                f"({_stamp(now)} {'-' if late else '+'} 5 min.)",
            )

    def _key(self, credential: AwsCredential, date: str) -> bytes:
        cached = self._keys.get((credential.access_key_id, date))
        if cached is not None:
            return cached
        key = f"AWS4{credential.secret_access_key}".encode()
        for part in (date, self._region, _SERVICE, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if len(self._keys) >= _KEPT_KEYS:
            self._keys.clear()
        self._keys[credential.access_key_id, date] = key
        return key


def _authorization(call: Call) -> _Authorization:
    header = call.headers.get("Authorization")
    if header is None:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    algorithm, _, rest = header.partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    scope = fields.get("Credential", "").split("/")
    signed, signature = fields.get("SignedHeaders", ""), fields.get("Signature", "")
    match scope:
        case [key, date, region, service, "aws4_request"] if algorithm == _ALGORITHM and signed and signature:
            return _Authorization(key, date, region, service, tuple(signed.split(";")), signature)
        case _:
            raise AwsError(
                "IncompleteSignatureException",
                f"Authorization header requires '{_ALGORITHM}' with 'Credential', 'SignedHeaders' and "
                "'Signature' parameters.",
            )


def _check_signed_headers(call: Call, signed: tuple[str, ...]) -> None:
    must = {"host", *(name.lower() for name in call.headers if name.lower().startswith("x-amz-"))}
    unsigned = must.difference(signed)
    if unsigned:
        names = ", ".join(f"'{name}'" for name in sorted(unsigned))
        raise AwsError(
            "InvalidSignatureException", f"{names} must be a 'SignedHeader' in the AWS Credential."
        )
    if any(name not in call.headers for name in signed):
        raise AwsError("InvalidSignatureException", _MISMATCH)


def _canonical_request(call: Call, signed: tuple[str, ...], payload_hash: str) -> bytes:
    path = quote(call.path, safe="/~")
    # Sorted by name, then by value: "0=" comes before "00=", although "=" comes after "0".
    pairs = sorted(part.partition("=")[::2] for part in call.query.split("&") if part)
    query = "&".join(f"{name}={value}" for name, value in pairs)
    headers = "".join(f"{name}:{_SPACES.sub(' ', call.headers[name].strip())}\n" for name in signed)
    text = f"{call.method}\n{path}\n{query}\n{headers}\n{';'.join(signed)}\n{payload_hash}"
    return text.encode("utf-8", "surrogateescape")  # headers hold whatever bytes were sent


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")
