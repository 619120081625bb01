"""What the SQLite store reads: each function sees one instant of the database."""

from collections import Counter
from typing import Any

import apsw

from adapters.stores import rules
from core.ports.store import Filter, Hold, Loaded, Message, Record, Snapshot, Summary, WorkflowVersion

_RECORD = (
    "SELECT execution_id, workflow_id, digest, status, current_step, failed_over, created_at_ms, "
    "updated_at_ms, version, epoch, hold, wake_at_ms FROM executions"
)
_VERSION = (
    "SELECT w.workflow_id, w.version, w.digest, d.definition, w.created_at_ms "
    "FROM workflows AS w JOIN definitions AS d ON d.digest = w.digest"
)
_NEWEST = "WHERE w.version = (SELECT max(version) FROM workflows WHERE workflow_id = w.workflow_id)"


def tickets(cursor: apsw.Cursor) -> list[tuple[str, int]]:
    """Every execution that has something to do, with its durable epoch, oldest first."""
    rows: list[Any] = cursor.execute(
        "SELECT execution_id, epoch FROM executions WHERE hold = 'ticket' ORDER BY execution_id"
    ).fetchall()
    return rows


def counts(cursor: apsw.Cursor) -> Counter[str]:
    """How many executions there are of each status."""
    return Counter(dict(cursor.execute("SELECT status, count(*) FROM executions GROUP BY status")))


def load(cursor: apsw.Cursor, execution_id: str) -> Loaded:
    """The journal since the newest snapshot, and the inbox."""
    row = cursor.execute(
        "SELECT n, digest, version, inbox FROM executions WHERE execution_id = ?", (execution_id,)
    ).fetchone()
    if row is None:
        raise rules.unknown_execution(execution_id)
    n, digest, version, inbox = row
    kept = cursor.execute("SELECT version, format, data FROM snapshots WHERE n = ?", (n,)).fetchone()
    snapshot = None if kept is None else Snapshot(version=kept[0], format=kept[1], data=kept[2])
    return Loaded(
        digest=digest,
        version=version,
        snapshot=snapshot,
        batches=tuple(data for _, _, data in _since(cursor, n, 0 if snapshot is None else snapshot.version)),
        inbox=_messages(cursor, n) if inbox else (),
    )


def history(cursor: apsw.Cursor, execution_id: str, after: int, limit: int) -> tuple[bytes, ...]:
    """Whole batches from event `after + 1` on, until they hold `limit` events."""
    found, held = [], 0
    for _, count, data in _since(cursor, _number(cursor, execution_id), after):
        found.append(data)
        held += count
        if held >= limit:
            break
    return tuple(found)


def inbox(cursor: apsw.Cursor, execution_id: str) -> tuple[Message, ...]:
    """The messages not yet consumed, oldest first."""
    return _messages(cursor, _number(cursor, execution_id))


def get(cursor: apsw.Cursor, execution_id: str) -> Record:
    """One record."""
    row = cursor.execute(f"{_RECORD} WHERE execution_id = ?", (execution_id,)).fetchone()
    if row is None:
        raise rules.unknown_execution(execution_id)
    return _record(row)


def find(cursor: apsw.Cursor, wanted: Filter, before: str | None, limit: int) -> list[Record]:
    """The newest `limit` records with ids below `before`."""
    conditions: list[str] = []
    values: list[Any] = []
    if before is not None:
        conditions.append("execution_id < ?")
        values.append(before)
    if wanted.workflow_id is not None:
        conditions.append("workflow_id = ?")
        values.append(wanted.workflow_id)
    if wanted.status is not None:
        conditions.append("status = ?")
        values.append(wanted.status)
    if wanted.failed_over is not None:
        # Written out, since the index of those that failed over is found by this text alone.
        conditions.append(f"failed_over = {int(wanted.failed_over)}")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    sql = f"{_RECORD}{where} ORDER BY execution_id DESC LIMIT ?"
    return [_record(row) for row in cursor.execute(sql, (*values, limit))]


def definition(cursor: apsw.Cursor, digest: str) -> bytes:
    """The definition with a digest."""
    row = cursor.execute("SELECT definition FROM definitions WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        raise rules.unknown_workflow(f"with digest {digest!r}")
    return bytes(row[0])


def get_workflow(cursor: apsw.Cursor, workflow_id: str, version: int | None) -> WorkflowVersion:
    """A version, or the newest."""
    if version is None:
        row = cursor.execute(
            f"{_VERSION} WHERE w.workflow_id = ? ORDER BY w.version DESC LIMIT 1", (workflow_id,)
        ).fetchone()
    else:
        row = cursor.execute(
            f"{_VERSION} WHERE w.workflow_id = ? AND w.version = ?", (workflow_id, version)
        ).fetchone()
    if row is None:
        asked = "" if version is None else f" in version {version}"
        raise rules.unknown_workflow(f"{workflow_id!r}{asked}")
    return _version(row)


def workflow_versions(cursor: apsw.Cursor, workflow_id: str) -> tuple[WorkflowVersion, ...]:
    """Every version, newest first."""
    rows = cursor.execute(
        f"{_VERSION} WHERE w.workflow_id = ? ORDER BY w.version DESC", (workflow_id,)
    ).fetchall()
    if not rows:
        raise rules.unknown_workflow(repr(workflow_id))
    return tuple(_version(row) for row in rows)


def workflows(cursor: apsw.Cursor, after: str | None, limit: int) -> tuple[WorkflowVersion, ...]:
    """The newest version of each workflow, by id."""
    rows = cursor.execute(
        f"{_VERSION} {_NEWEST} AND w.workflow_id > ? ORDER BY w.workflow_id LIMIT ?",
        (after or "", limit),
    )
    return tuple(_version(row) for row in rows)


def get_fact(cursor: apsw.Cursor, key: str) -> bytes | None:
    """A small value, or None."""
    row = cursor.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
    return None if row is None else bytes(row[0])


def _number(cursor: apsw.Cursor, execution_id: str) -> int:
    row = cursor.execute("SELECT n FROM executions WHERE execution_id = ?", (execution_id,)).fetchone()
    if row is None:
        raise rules.unknown_execution(execution_id)
    return int(row[0])


def _since(cursor: apsw.Cursor, n: int, version: int) -> apsw.Cursor:
    """The batches that hold events after `version`: first event, count, data."""
    return cursor.execute(
        "SELECT first_seq, count, data FROM journal WHERE n = ?1 AND first_seq >= coalesce("
        "(SELECT max(first_seq) FROM journal WHERE n = ?1 AND first_seq <= ?2 + 1), 0) "
        "AND first_seq + count > ?2 + 1 ORDER BY first_seq",
        (n, version),
    )


def _messages(cursor: apsw.Cursor, n: int) -> tuple[Message, ...]:
    rows = cursor.execute("SELECT data FROM messages WHERE n = ? AND data IS NOT NULL ORDER BY i", (n,))
    return tuple(rules.decode_message(data) for (data,) in rows)


def _record(row: tuple[Any, ...]) -> Record:
    return Record(
        execution_id=row[0],
        workflow_id=row[1],
        digest=row[2],
        summary=Summary(status=row[3], current_step=row[4], failed_over=bool(row[5])),
        created_at_ms=row[6],
        updated_at_ms=row[7],
        version=row[8],
        epoch=row[9],
        hold=Hold(row[10]),
        wake_at_ms=row[11],
    )


def _version(row: tuple[Any, ...]) -> WorkflowVersion:
    return WorkflowVersion(
        workflow_id=row[0], version=row[1], digest=row[2], definition=row[3], created_at_ms=row[4]
    )
