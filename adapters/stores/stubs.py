"""Stubs: what a journal holds in the place of bytes that lie elsewhere, and the names of those payloads.

A stub begins with a zero byte, which no JSON does. It says where the bytes lie and what they were, so that a
reader can tell that it got them whole.
"""

import hashlib
import re
from typing import Literal

import msgspec

from core.errors import InvalidInput, JournalUnreadable
from core.ports.payloads import MAX_PART, check_key

MAGIC = b"\x00sidestep-payload\x00"
VERSION = 1

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")
_LONGEST_COMMIT = 64

Kind = Literal["j", "s"]
"""What a payload is: part of a journal, or a snapshot."""


class Stub(msgspec.Struct, frozen=True, kw_only=True):
    """The payload's key, its length in bytes, and the hexadecimal SHA-256 of its content."""

    v: int = VERSION
    key: str
    length: int
    sha256: str


class _Version(msgspec.Struct):
    v: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Stub)
_version = msgspec.json.Decoder(_Version)


def is_stub(data: bytes) -> bool:
    """Whether these bytes stand for others."""
    return data.startswith(MAGIC)


def dump(stub: Stub) -> bytes:
    """The stub as bytes."""
    return MAGIC + _encoder.encode(stub)


def parse(data: bytes) -> Stub:
    """What `dump` wrote. Raises JournalUnreadable for a newer version and for damaged bytes."""
    text = data[len(MAGIC) :]
    try:
        stub = _decoder.decode(text)
        check_key(stub.key)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidInput) as error:
        _refuse_newer(text)
        raise JournalUnreadable(f"the journal is damaged: a reference to a payload: {error}") from error
    if stub.v != VERSION:
        _refuse_newer(text)
    return stub


def _refuse_newer(text: bytes) -> None:
    try:
        version = _version.decode(text).v
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if version != VERSION:
        raise JournalUnreadable(
            f"the journal refers to a payload in version {version}, and this program reads version {VERSION}"
        )


def stub_for(group: str, kind: Kind, version: int, commit_id: str, term: int, data: bytes) -> Stub:
    """The stub of `data`, that is, the name it gets.

    The name says at which version of the journal the payload belongs, so that one look tells whether the
    journal refers to it, and holds the content's digest, so that no two contents share a name.
    """
    digest = hashlib.sha256(data).hexdigest()
    commit = encoded(commit_id)
    if len(commit) > _LONGEST_COMMIT:
        commit = hashlib.sha256(commit_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    name = f"{kind}{version}~{commit}~{term}~{digest[:32]}"
    return Stub(key=f"{group}/{name}", length=len(data), sha256=digest)


def group_of(execution_id: str) -> str | None:
    """The group of an execution's payloads; None for an id that is too long to be one."""
    group = encoded(execution_id)
    return group if 0 < len(group) <= MAX_PART else None


def execution_of(group: str) -> str | None:
    """The execution whose group this is; None for a stranger's."""
    try:
        found = re.sub(
            rb"=([0-9A-F]{2})", lambda pair: bytes((int(pair[1], 16),)), group.encode("ascii")
        ).decode("utf-8", "surrogatepass")
    except UnicodeError:
        return None
    return found if group_of(found) == group else None


def place_in_journal(key: str) -> tuple[Kind, int] | None:
    """What a key's payload is, and after how many events of the journal it stands; None for a stranger's."""
    found = re.fullmatch(r"([js])(0|[1-9][0-9]{0,17})~[^~]*~[0-9]+~[0-9a-f]{32}", key.partition("/")[2])
    return None if found is None else ("j" if found[1] == "j" else "s", int(found[2]))


def intact(stub: Stub, data: bytes) -> bool:
    """Whether these are the bytes that the stub stands for."""
    return len(data) == stub.length and hashlib.sha256(data).hexdigest() == stub.sha256


def encoded(text: str) -> str:
    """Any text in the characters of keys: what is no letter, digit or hyphen becomes `=XX`, byte by byte."""
    data = text.encode("utf-8", "surrogatepass")
    if _SAFE.issuperset(data):
        return text
    return "".join(chr(byte) if byte in _SAFE else f"={byte:02X}" for byte in data)
