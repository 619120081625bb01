"""Tokens of callbacks: whoever holds one may say how a visit ended. Signed, so that none can be made up."""

import hashlib
import hmac
from base64 import urlsafe_b64encode


def token(secret: bytes, execution_id: str, visit: str) -> str:
    """The token of a visit; the same for all of its attempts. URL-safe text."""
    told = f"{execution_id}\n{visit}".encode()
    signature = hmac.new(secret, told, hashlib.sha256).digest()
    return f"{_text(told)}.{_text(signature)}"


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
