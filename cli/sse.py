"""Server-Sent Events, read line by line (the WHATWG HTML standard, "Interpreting an event stream")."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One event: its type (`message` unless named), its data, and the last id that the stream gave."""

    event: str
    data: str
    last_id: str


def messages(lines: Iterable[str]) -> Iterator[Message | None]:
    """The events in `lines`, which come without line ends. An event without data is none.

    A comment gives None: servers send them to keep a quiet stream alive, and a reader may look at the clock.
    """
    event, last_id = "", ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield Message(event or "message", "\n".join(data), last_id)
            event, data = "", []
            continue
        name, _, value = line.partition(":")
        if not name:
            yield None
            continue
        value = value.removeprefix(" ")
        match name:
            case "event":
                event = value
            case "data":
                data.append(value)
            case "id" if "\0" not in value:
                last_id = value
            case _:
                pass  # a retry hint, or a field of the future
