"""Tickets, owners, leases and timers of a store that one process has to itself.

Since no other process can own anything, none of this needs to be written down: what holds an execution is
in its record, and at open every ticket is free. An epoch is handed out without a write; it becomes durable
with its owner's first commit.
"""

import heapq
import itertools

from adapters.stores.timers import Due, Key, Timers
from core.ports.clock import Clock
from core.ports.store import Claim


class Ticket:
    """An execution that has something to do. `lease_until` is None while nobody was given it."""

    __slots__ = ("epoch", "execution_id", "lease_until", "listed", "number", "owner", "wanted", "writing")

    def __init__(self, execution_id: str, epoch: int, number: int) -> None:
        self.execution_id = execution_id
        self.epoch = epoch  # the last one handed out, or the durable one
        self.number = number  # tickets are handed out in this order
        self.owner: str | None = None
        self.lease_until: float | None = None
        self.listed: float | None = None  # when the heap of leases has this ticket looked at
        self.writing = 0  # commits of its owner that are under way
        self.wanted = False  # whether somebody asked for it meanwhile


class Desk:
    """Who may drive what. Use it on the event loop's thread only."""

    def __init__(self, clock: Clock, timers: Timers) -> None:
        self.timers = timers
        self._clock = clock
        self._tickets: dict[str, Ticket] = {}
        self._numbers = itertools.count()
        self._ready: list[tuple[int, str]] = []
        self._leases: list[tuple[float, str, int]] = []
        self._duties: dict[str, tuple[str, float]] = {}

    def ticket(self, execution_id: str) -> Ticket | None:
        """The live ticket of an execution, owned or free."""
        return self._tickets.get(execution_id)

    def lead(self, duty: str, owner: str, seconds: float) -> bool:
        """Whether `owner` has the duty from now on."""
        now = self._clock.monotonic()
        leader, until = self._duties.get(duty, (owner, now))
        if leader != owner and until > now:
            return False
        self._duties[duty] = (owner, now + seconds)
        return True

    def forget(self, execution_id: str) -> None:
        """The execution is gone, and with it whatever held it."""
        self.timers.discard(execution_id)
        self._tickets.pop(execution_id, None)

    def issue(self, execution_id: str, epoch: int) -> bool:
        """Make a ticket, in place of a timer. False where one is live already."""
        self.timers.discard(execution_id)
        if execution_id in self._tickets:
            return False
        ticket = Ticket(execution_id, epoch, next(self._numbers))
        self._tickets[execution_id] = ticket
        heapq.heappush(self._ready, (ticket.number, execution_id))
        return True

    def wait(self, due: Due) -> None:
        """Set a timer, unless the execution has a ticket."""
        if due.execution_id not in self._tickets:
            self.timers.set(due)

    def refill(self, rows: list[Due], read_from: Key, *, complete: bool) -> None:
        """Take in timers that were read from a host's index. Those whose execution has a ticket are over:
        a claim by timer is written only with its first commit.
        """
        self.timers.refill(rows, read_from, self._tickets, complete=complete)

    def ring_timers(self) -> None:
        """Turn the timers that are due into tickets."""
        for due in self.timers.pop_due(self._clock.now_ms()):
            self.issue(due.execution_id, due.epoch)

    def claim(self, owner: str, limit: int, lease_seconds: float) -> tuple[Claim, ...]:
        """Hand out free tickets, and those whose lease is over, oldest first, each with a higher epoch."""
        now = self._clock.monotonic()
        self._lapse(now)
        until = now + lease_seconds
        claims: list[Claim] = []
        busy: list[tuple[int, str]] = []
        while self._ready and len(claims) < limit:
            entry = heapq.heappop(self._ready)
            ticket = self._tickets.get(entry[1])
            if ticket is None or ticket.number != entry[0] or not _is_free(ticket, now):
                continue
            if ticket.writing:
                # Its last owner's commit is on its way to the disk, and decides what there is to drive.
                busy.append(entry)
                ticket.wanted = True
                continue
            ticket.epoch += 1
            ticket.owner = owner
            ticket.lease_until = until
            self._list(ticket)
            claims.append(Claim(ticket.execution_id, ticket.epoch, until))
        for entry in busy:
            heapq.heappush(self._ready, entry)
        return tuple(claims)

    def renew(self, claims: tuple[Claim, ...], lease_seconds: float) -> tuple[Claim, ...]:
        """Prolong the leases of those claims that nobody else was given since."""
        until = self._clock.monotonic() + lease_seconds
        return tuple(
            Claim(claim.execution_id, claim.epoch, until)
            for claim in claims
            if self._prolong(claim.execution_id, claim.epoch, until)
        )

    def give_back(self, claim: Claim) -> bool:
        """Free a ticket. False where the claim is over."""
        ticket = self._owned(claim.execution_id, claim.epoch)
        if ticket is None:
            return False
        ticket.owner = ticket.lease_until = None
        heapq.heappush(self._ready, (ticket.number, ticket.execution_id))
        return True

    def begin_commit(self, execution_id: str, epoch: int) -> Ticket | None:
        """The ticket, where a commit of this epoch may be tried: a lapsed lease that nobody took is still
        good. Nobody else is given the ticket before `end_commit`.
        """
        ticket = self._owned(execution_id, epoch)
        if ticket is not None:
            ticket.writing += 1
        return ticket

    def end_commit(self, ticket: Ticket) -> bool:
        """The commit was decided. True where somebody asked for the ticket meanwhile and can have it now."""
        ticket.writing -= 1
        if ticket.writing or not ticket.wanted:
            return False
        ticket.wanted = False
        live = self._tickets.get(ticket.execution_id) is ticket
        return live and _is_free(ticket, self._clock.monotonic())

    def release(self, execution_id: str, epoch: int, wake_at_ms: int | None) -> bool:
        """Take the ticket away; a timer holds the execution instead, if there is one.

        True where that timer is now the earliest of all.
        """
        self._tickets.pop(execution_id, None)
        return wake_at_ms is not None and self.timers.set(Due(execution_id, wake_at_ms, epoch))

    def _owned(self, execution_id: str, epoch: int) -> Ticket | None:
        ticket = self._tickets.get(execution_id)
        if ticket is None or ticket.epoch != epoch or ticket.lease_until is None:
            return None
        return ticket

    def _prolong(self, execution_id: str, epoch: int, until: float) -> bool:
        ticket = self._owned(execution_id, epoch)
        if ticket is None:
            return False
        ticket.lease_until = until
        self._list(ticket)
        return True

    def _list(self, ticket: Ticket) -> None:
        # A renewal leaves the entry that is there: when that comes up, the ticket is listed anew.
        until = ticket.lease_until
        if until is not None and (ticket.listed is None or until < ticket.listed):
            ticket.listed = until
            heapq.heappush(self._leases, (until, ticket.execution_id, ticket.number))

    def _lapse(self, now: float) -> None:
        while self._leases and self._leases[0][0] <= now:
            until, execution_id, number = heapq.heappop(self._leases)
            ticket = self._tickets.get(execution_id)
            if ticket is None or ticket.number != number or ticket.listed != until:
                continue
            ticket.listed = None
            if _is_free(ticket, now):
                heapq.heappush(self._ready, (ticket.number, ticket.execution_id))
            else:
                self._list(ticket)


def _is_free(ticket: Ticket, now: float) -> bool:
    return ticket.lease_until is None or ticket.lease_until <= now
