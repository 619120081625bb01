"""The acts that change an execution: what their scripts are given, and what the answers mean."""

import json
from enum import Enum, auto

from adapters.stores import rules
from adapters.stores.redis import answers
from adapters.stores.redis.acts import Acts, Argument
from adapters.stores.redis.births import Birth
from adapters.stores.redis.keys import Keys, place_of
from core.errors import InvalidInput
from core.machine.transitions import TERMINAL
from core.ports.store import Commit, Committed, Created, Message, NewExecution

_ENDED = f",{','.join(sorted(TERMINAL))},"


_MAIL, _RELEASED, _AGAIN = 1, 2, 4
"""What `commit.lua` adds up."""


_DIGESTS = 16_384
"""Definitions, each in each shard, that one process remembers having sent: about 4 MB."""


class Delivered(Enum):
    """What became of a message."""

    HAD = auto()  # it was had before
    PUT = auto()  # it is in the inbox
    TICKET = auto()  # it is in the inbox, and a ticket was made


class Writes:
    """Creation, commit, delivery and removal, as one process (`station`) asks for them."""

    def __init__(self, acts: Acts, keys: Keys, station: str) -> None:
        self._acts = acts
        self._keys = keys
        self._station = station
        self._had: set[tuple[str, str]] = set()  # shards, and digests whose definitions they have had

    async def create(self, new: NewExecution, birth: Birth | None = None) -> tuple[Created, bool]:
        """As the port says, but for room; and whether this process took it on, which it does only where
        `birth` says how.
        """
        key = new.idempotency
        rules.check_text(new.execution_id, new.workflow_id, new.digest, new.summary.status)
        rules.check_text(new.summary.current_step)
        place, kept, expires = "", b"", 0
        if key is not None:
            rules.check_text(key.caller, key.key, key.fingerprint)
            place, expires = place_of(key), key.expires_at_ms
            kept = json.dumps([key.fingerprint, new.execution_id]).encode()
        before = (new.execution_id, new.workflow_id, new.digest)
        after = (
            new.created_at_ms,
            new.batch.count,
            answers.element(0, new.batch),
            new.summary.status,
            new.summary.current_step or "",
            "1" if new.summary.failed_over else "",
            place,
            kept,
            expires,
            self._acts.ring,
            "" if birth is None else self._station,
            0 if birth is None else birth.idle_ms,
        )
        base = self._keys.base(new.execution_id)
        place_and_digest = (base, new.digest)
        sent = b"" if place_and_digest in self._had else new.definition
        said = await self._acts.run("create", base, *before, sent, *after)
        if said[0] == b"definition":
            # It went with the last execution that used it.
            if not new.definition:
                raise InvalidInput("a definition is not empty")
            said = await self._acts.run("create", base, *before, new.definition, *after)
        if said[0] == b"made" and place_and_digest not in self._had:
            if len(self._had) == _DIGESTS:
                self._had.clear()
            self._had.add(place_and_digest)
        if said[0] == b"known":
            fingerprint, execution_id = json.loads(said[1])
            if key is not None and fingerprint != key.fingerprint:
                raise rules.key_conflict(key)
            return Created(execution_id, fresh=False), False
        fresh = said[0] == b"made"
        return Created(new.execution_id, fresh=fresh), fresh and said[1] == 1

    async def commit(self, commit: Commit, now_ms: int) -> tuple[Committed, bool]:
        """As the port says, at the host time `now_ms`.

        And whether it happened now, and not at an earlier call.
        """
        summary = commit.summary
        rules.check_text(commit.execution_id, commit.commit_id, summary.status, summary.current_step)
        rules.check_text(*commit.consumed)
        last: tuple[Argument, ...] = commit.consumed
        if commit.release or commit.consumed:
            wake = commit.wake_at_ms
            last = (
                "1" if commit.release else "",
                "" if wake is None else wake,
                0 if wake is None else wake - now_ms,
                *commit.consumed,
            )
        said = await self._acts.run(
            "commit",
            self._keys.base(commit.execution_id),
            commit.execution_id,
            commit.version,
            commit.epoch,
            self._station,
            commit.commit_id,
            commit.at_ms,
            commit.version + commit.batch.count,
            answers.element(commit.version, commit.batch),
            summary.status,
            summary.current_step or "",
            "1" if summary.failed_over else "",
            *last,
        )
        if said is None:
            raise rules.unknown_execution(commit.execution_id)
        if isinstance(said, list):
            raise rules.not_owner(commit, int(said[0]))
        return Committed(inbox=said & _MAIL > 0, released=said & _RELEASED > 0), said < _AGAIN

    async def deliver(self, execution_id: str, message: Message, *, revive: bool) -> Delivered:
        """As the port says."""
        rules.check_text(execution_id, message.message_id)
        said = await self._acts.run(
            "deliver",
            self._keys.base(execution_id),
            execution_id,
            message.message_id,
            rules.encode_message(message),
            "1" if revive else "",
            _ENDED,
            self._station,
            self._keys.inbox_channel,
            self._acts.ring,
        )
        if said[0] == b"missing":
            raise rules.unknown_execution(execution_id)
        if said[0] == b"ended":
            raise rules.has_ended(execution_id, said[1].decode())
        if said[0] == b"had":
            return Delivered.HAD
        return Delivered.TICKET if said[1] else Delivered.PUT

    async def remove(self, execution_id: str) -> bool:
        """As the port says."""
        rules.check_text(execution_id)
        said = await self._acts.run("remove", self._keys.base(execution_id), execution_id, _ENDED)
        if said[0] == b"live":
            raise rules.is_live(execution_id, said[1].decode())
        return bool(said[0] == b"gone")
