"""The doorbell port: wakes who waits, and carries no data."""

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Protocol


class Topic(StrEnum):
    """What a ring is about."""

    WORK = "work"  # a ticket was made
    INBOX = "inbox"  # a message was delivered to an execution
    JOURNAL = "journal"  # an execution's journal grew


class Doorbell(Protocol):
    """Rings are hints. They may come without cause and may be missed: whoever listens reads again, and polls
    slowly besides.
    """

    def subscribe(
        self,
        topic: Topic,
        ring: Callable[[str], None],
        execution_id: str | None = None,
        statuses: Collection[str] | None = None,
    ) -> Callable[[], None]:
        """Have `ring(execution_id)` called, on the event loop, for each ring of `topic`.

        Whoever wants to hear of one execution only says which: a host that many processes share carries
        those rings alone. Without an id, rings of JOURNAL from other processes may be missing, and those of
        INBOX are of the executions that this process owns. With `statuses`, rings of JOURNAL may be left out
        after which the execution is known to have another one.

        The callback must be quick and must not raise. Returns what ends the subscription.
        """
        ...
