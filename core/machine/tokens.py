"""Tokens of callbacks: whoever holds one may say how a visit ended. Signed, so that none can be made up.

A token is `TEXT.SIGNATURE`, both base64url without padding: the execution's id and the visit's path, and an
HMAC-SHA-256 (RFC 2104) of them under a secret that all replicas share.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64

MAX_TOKEN = 4_096
"""Characters; a longer one is not looked at."""

SIGNED = 43
"""Characters of a signature: 32 bytes of base64 without padding."""


def token(secret: bytes, execution_id: str, visit: str) -> str:
    """The token of a visit; the same for all of its attempts. URL-safe text."""
    told = f"{execution_id}\n{visit}".encode()
    return f"{_text(told)}.{_text(_signature(secret, told))}"


def verified(secret: bytes, given: str) -> tuple[str, str] | None:
    """The execution and the visit that a token names; None where this secret did not sign it.

    Nothing of the token is believed before its signature was compared, in constant time.
    """
    if not secret or len(given) > MAX_TOKEN or not given.isascii():
        return None
    text, _, signature = given.partition(".")
    if len(signature) != SIGNED:
        return None
    try:
        told = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        return None
    # What is compared is the text as it would be written: no second spelling of a token is taken.
    right = f"{_text(told)}.{_text(_signature(secret, told))}"
    if not hmac.compare_digest(right, given):
        return None
    execution_id, _, visit = told.decode("utf-8", "replace").partition("\n")
    return execution_id, visit


def _signature(secret: bytes, told: bytes) -> bytes:
    return hmac.new(secret, told, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
