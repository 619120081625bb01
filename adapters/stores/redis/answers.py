"""What the scripts answer, as values of the port; and the bytes that they are given to keep."""

from collections.abc import Sequence
from typing import Any

from adapters.stores import rules
from core.ports.store import Batch, Hold, Loaded, Message, Record, Snapshot, Summary

RECORD_FIELDS = ("w", "d", "s", "p", "f", "c", "u", "v", "e", "t", "a")
"""The fields of a record's hash that `record` wants, in its order."""

_NUMBER_BYTES = 4


def element(version: int, batch: Batch) -> bytes:
    """A journal's element: the number of the batch's last event, big-endian, and its data.

    Empty for a batch without events, which is not kept. `version` counts the events before it.
    """
    if not batch.count:
        return b""
    return (version + batch.count).to_bytes(_NUMBER_BYTES, "big") + batch.data


def batches(elements: Sequence[bytes]) -> tuple[bytes, ...]:
    """The data of a journal's elements."""
    return tuple([each[_NUMBER_BYTES:] for each in elements])


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    """A snapshot as it is kept; its version stands in the record."""
    return snapshot.format.to_bytes(_NUMBER_BYTES, "big") + snapshot.data


def loaded(fields: Sequence[Any]) -> Loaded:
    """The journal that `load.lua` and `claim.lua` answer with."""
    digest, version, kept, kept_version, elements, inbox = fields
    snapshot = None
    if kept is not None:
        snapshot = Snapshot(
            version=int(kept_version),
            format=int.from_bytes(kept[:_NUMBER_BYTES], "big"),
            data=kept[_NUMBER_BYTES:],
        )
        # The place that was noted is where the batches after it began when it was kept.
        first = (snapshot.version + 1).to_bytes(_NUMBER_BYTES, "big")
        elements = [each for each in elements if each[:_NUMBER_BYTES] >= first]
    return Loaded(
        digest=digest.decode(),
        version=int(version),
        snapshot=snapshot,
        batches=batches(elements),
        inbox=messages(inbox),
    )


def messages(values: Sequence[bytes]) -> tuple[Message, ...]:
    """An inbox's messages in the order of their places, which stand before a colon."""
    placed = []
    for value in values:
        place, _, data = value.partition(b":")
        placed.append((int(place), data))
    return tuple([rules.decode_message(data) for _, data in sorted(placed)])


def record(execution_id: str, values: Sequence[bytes | None]) -> Record | None:
    """A record from its RECORD_FIELDS; None where there is none."""
    if values[0] is None:
        return None
    texts = [value.decode() if value is not None else "" for value in values]
    workflow_id, digest, status, step, failed_over, created, updated, version, epoch, ticket, wake = texts
    hold = Hold.TICKET if ticket else Hold.TIMER if wake else Hold.NONE
    return Record(
        execution_id=execution_id,
        workflow_id=workflow_id,
        digest=digest,
        summary=Summary(status=status, current_step=step or None, failed_over=bool(failed_over)),
        created_at_ms=int(created),
        updated_at_ms=int(updated),
        version=int(version),
        epoch=int(epoch),
        hold=hold,
        wake_at_ms=int(wake) if hold is Hold.TIMER else None,
    )
