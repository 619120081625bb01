"""Signature Version 4 for one shape of request: a POST without a query.

botocore's signer is general and costs 10 times as much a call (docs/decisions/0002-http-client.md); it is the
oracle of this one in the tests.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from urllib.parse import quote

_SERVICE = "lambda"
_MANY_KEYS = 64


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key. Equal where all three parts are."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def canonical_path(path: str) -> str:
    """The path as it is signed: what is sent, quoted once more (AWS, "Create a canonical request")."""
    return quote(path, safe="/~")


class Signer:
    """Signs with one access key; the key derived from it is kept for a day and region."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._derived: dict[tuple[str, str], bytes] = {}
        self._stamp = (0, "")

    def headers(
        self,
        *,
        region: str,
        host: str,
        path: str,
        extra: tuple[tuple[str, str], ...],
        late: tuple[tuple[str, str], ...] = (),
        body: bytes,
        now: float,
    ) -> dict[str, str]:
        """The headers that carry the signature: those in `extra` and `late`, `X-Amz-Date`, the session token,
        and `Authorization`.

        `path` is canonical. `extra` are headers to sign: lower-case names that sort after `host` and before
        `x-amz-date`, in order, and values without runs of white space. Those in `late` sort between
        `x-amz-date` and `x-amz-security-token`.
        """
        stamp = self._timestamp(now)
        day = stamp[:8]
        signed = [("host", host), *extra, ("x-amz-date", stamp), *late]
        if self.keys.token:
            signed.append(("x-amz-security-token", self.keys.token))
        names = ";".join([name for name, _ in signed])
        lines = "\n".join([f"{name}:{value}" for name, value in signed])
        request = f"POST\n{path}\n\n{lines}\n\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{day}/{region}/{_SERVICE}/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        signature = hmac.digest(
            self._key(day, region), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256"
        ).hex()
        headers = dict(signed[1:])
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.keys.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def _timestamp(self, now: float) -> str:
        second = int(now)
        if self._stamp[0] != second:
            self._stamp = (second, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second)))
        return self._stamp[1]

    def _key(self, day: str, region: str) -> bytes:
        key = self._derived.get((day, region))
        if key is None:
            if len(self._derived) >= _MANY_KEYS:
                self._derived.clear()
            key = f"AWS4{self.keys.secret_key}".encode()
            for part in (day, region, _SERVICE, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived[day, region] = key
        return key
