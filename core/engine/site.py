"""Where callbacks come in, and the secret that signs their tokens."""

import secrets

from core.machine.tokens import token
from core.ports.store import Store

FACT = "callback-secret"
"""Under which the store keeps the secret that the replicas share."""

SECRET_BYTES = 32


class Site:
    """The address of the API as functions reach it, and the secret. It is shown without the secret."""

    def __init__(self, secret: bytes, public_url: str) -> None:
        self.secret = secret
        self.public_url = public_url.rstrip("/")

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Site({self.public_url!r})"

    def token(self, execution_id: str, visit: str) -> str:
        """The token with which somebody says how this visit ended."""
        return token(self.secret, execution_id, visit)

    def url(self, token_: str) -> str:
        """Where that is said."""
        return f"{self.public_url}/callbacks/{token_}"


NOWHERE = Site(b"", "http://127.0.0.1")
"""For engines whose callbacks nobody takes: no token of an empty secret is ever believed."""


async def shared_site(store: Store, public_url: str, secret: bytes | None = None) -> Site:
    """The site of this process: with `secret`, where the settings have one, or the one that the store keeps
    for all that share it, which is made by whoever asks first. Raises StoreUnavailable.
    """
    return Site(secret or await store.keep_fact(FACT, secrets.token_bytes(SECRET_BYTES)), public_url)
