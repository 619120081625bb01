"""What came back from a server, before anybody says what it means."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

FIRST_SUCCESS, FIRST_REDIRECT, FIRST_CLIENT_ERROR, FIRST_SERVER_ERROR = 200, 300, 400, 500


class Broken(StrEnum):
    """Why a body is not the whole answer."""

    TRUNCATED = "truncated"
    LATE = "late"
    TOO_LARGE = "too-large"


class Reply(msgspec.Struct, frozen=True):
    """One HTTP response. `headers` is read without regard to case; `broken` says that `body` is not whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: Broken | None = None

    @property
    def success(self) -> bool:
        """True for 2xx."""
        return FIRST_SUCCESS <= self.status < FIRST_REDIRECT

    @property
    def redirect(self) -> bool:
        """True for 3xx."""
        return FIRST_REDIRECT <= self.status < FIRST_CLIENT_ERROR
