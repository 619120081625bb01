"""What came back from a server, before anybody says what it means."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

FIRST_SUCCESS, FIRST_REDIRECT, FIRST_CLIENT_ERROR, FIRST_SERVER_ERROR = 200, 300, 400, 500


class Broken(StrEnum):
    """Why a body is not the whole answer."""

    TRUNCATED = "truncated"
    LATE = "late"
    TOO_LARGE = "too-large"


class Headers(Mapping[str, str]):
    """Header fields as they came, read without regard to case; of fields with one name the first counts.

    Nothing is decoded until it is asked for: of most answers no field ever is.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        """The first field of that name. Raises KeyError."""
        wanted = name.lower().encode()
        for key, value in self._fields:
            if len(key) == len(wanted) and key.lower() == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """Each name once, in lower case."""
        return iter(dict.fromkeys(key.lower().decode("latin-1") for key, _ in self._fields))

    def __len__(self) -> int:
        """How many names there are."""
        return sum(1 for _ in self)


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
