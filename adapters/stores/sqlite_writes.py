"""What the SQLite store writes: each function is one act inside the writer's transaction.

Each makes its checks before its first write, so that an act that is refused has changed nothing.
"""

from typing import Any

import apsw
from msgspec import Struct

from adapters.stores import rules
from adapters.stores.timers import Due, Key
from core.machine.transitions import TERMINAL
from core.ports.store import Commit, Created, NewExecution, Snapshot, WorkflowVersion

SWEPT = 100
"""How many expired idempotency records one sweep takes away at most."""


class Done(Struct, frozen=True):
    """What a commit did: whether messages wait, whether the owner was let go, the status before and after;
    `repeated` says that it was done before and nothing changed.
    """

    inbox: bool
    released: bool
    before: str
    after: str
    repeated: bool = False


class Delivered(Struct, frozen=True):
    """What a delivery did: whether the message was new, and the execution's durable epoch."""

    fresh: bool
    epoch: int


def create(cursor: apsw.Cursor, new: NewExecution, now_ms: int, *, sweep: bool) -> Created:
    """Write an execution and all that comes with it."""
    key = new.idempotency
    if key is not None:
        known = cursor.execute(
            "SELECT fingerprint, execution_id FROM idempotency "
            "WHERE caller = ? AND key = ? AND expires_at_ms > ?",
            (key.caller, key.key, now_ms),
        ).fetchone()
        if known is not None:
            if known[0] != key.fingerprint:
                raise rules.key_conflict(key)
            return Created(known[1], fresh=False)
    if _number(cursor, new.execution_id) is not None:
        return Created(new.execution_id, fresh=False)
    cursor.execute(
        "INSERT INTO executions (execution_id, workflow_id, digest, created_at_ms, status, current_step, "
        "failed_over, updated_at_ms, version, epoch, last_commit, released, hold, wake_at_ms, inbox) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, 0, 'ticket', NULL, 0)",
        (
            new.execution_id,
            new.workflow_id,
            new.digest,
            new.created_at_ms,
            new.summary.status,
            new.summary.current_step,
            new.summary.failed_over,
            new.created_at_ms,
            new.batch.count,
        ),
    )
    if new.batch.count:
        cursor.execute(
            "INSERT INTO journal (n, first_seq, count, data) VALUES (?, 1, ?, ?)",
            (cursor.connection.last_insert_rowid(), new.batch.count, new.batch.data),
        )
    _define(cursor, new.digest, new.definition)
    if key is not None:
        cursor.execute(
            "INSERT INTO idempotency (caller, key, fingerprint, execution_id, expires_at_ms) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (caller, key) DO UPDATE SET fingerprint = "
            "excluded.fingerprint, execution_id = excluded.execution_id, "
            "expires_at_ms = excluded.expires_at_ms",
            (key.caller, key.key, key.fingerprint, new.execution_id, key.expires_at_ms),
        )
        if sweep:
            cursor.execute(
                "DELETE FROM idempotency WHERE i IN (SELECT i FROM idempotency "
                "WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?)",
                (now_ms, SWEPT),
            )
    return Created(new.execution_id, fresh=True)


def commit(cursor: apsw.Cursor, wanted: Commit, *, owned: bool) -> Done:
    """Do a commit. `owned` says whether its epoch was the newest that was handed out."""
    row = cursor.execute(
        "SELECT n, version, epoch, last_commit, released, inbox, status, failed_over, hold "
        "FROM executions WHERE execution_id = ?",
        (wanted.execution_id,),
    ).fetchone()
    if row is None:
        raise rules.unknown_execution(wanted.execution_id)
    n, version, epoch, last_commit, was_released, inbox, status, failed_over, hold = row
    if last_commit == wanted.commit_id:
        return Done(bool(inbox), bool(was_released), status, status, repeated=True)
    # An owner that let go in the act before this one, in the same batch, is none any more.
    if not owned or version != wanted.version or (wanted.epoch == epoch and was_released):
        raise rules.not_owner(wanted, version)
    for message_id in wanted.consumed:
        cursor.execute(
            "UPDATE messages SET data = NULL WHERE n = ? AND message_id = ? AND data IS NOT NULL",
            (n, message_id),
        )
        inbox -= cursor.connection.changes()
    count = wanted.batch.count
    if count:
        cursor.execute(
            "INSERT INTO journal (n, first_seq, count, data) VALUES (?, ?, ?, ?)",
            (n, version + 1, count, wanted.batch.data),
        )
    summary = wanted.summary
    released = wanted.release and not inbox
    if (
        not released
        and hold == "ticket"
        and status == summary.status
        and bool(failed_over) == summary.failed_over
    ):
        # No index sees a change: the usual commit touches the row alone.
        cursor.execute(
            "UPDATE executions SET current_step = ?, updated_at_ms = ?, version = ?, epoch = ?, "
            "last_commit = ?, released = 0, inbox = ? WHERE n = ?",
            (
                summary.current_step,
                wanted.at_ms,
                version + count,
                wanted.epoch,
                wanted.commit_id,
                inbox,
                n,
            ),
        )
    else:
        wake_at_ms = wanted.wake_at_ms if released else None
        held_by = "ticket" if not released else "none" if wake_at_ms is None else "timer"
        cursor.execute(
            "UPDATE executions SET status = ?, current_step = ?, failed_over = ?, updated_at_ms = ?, "
            "version = ?, epoch = ?, last_commit = ?, released = ?, hold = ?, wake_at_ms = ?, inbox = ? "
            "WHERE n = ?",
            (
                summary.status,
                summary.current_step,
                summary.failed_over,
                wanted.at_ms,
                version + count,
                wanted.epoch,
                wanted.commit_id,
                released,
                held_by,
                wake_at_ms,
                inbox,
                n,
            ),
        )
    return Done(bool(inbox), released, status, summary.status)


def deliver(
    cursor: apsw.Cursor, execution_id: str, message_id: str, data: bytes, *, revive: bool
) -> Delivered:
    """Put an encoded message into an inbox."""
    row = cursor.execute(
        "SELECT n, status, epoch, hold FROM executions WHERE execution_id = ?", (execution_id,)
    ).fetchone()
    if row is None:
        raise rules.unknown_execution(execution_id)
    n, status, epoch, hold = row
    had = cursor.execute("SELECT 1 FROM messages WHERE n = ? AND message_id = ?", (n, message_id))
    if had.fetchone() is not None:
        return Delivered(fresh=False, epoch=epoch)
    if status in TERMINAL and not revive:
        raise rules.has_ended(execution_id, status)
    cursor.execute("INSERT INTO messages (n, message_id, data) VALUES (?, ?, ?)", (n, message_id, data))
    if hold == "ticket":
        cursor.execute("UPDATE executions SET inbox = inbox + 1 WHERE n = ?", (n,))
    else:
        cursor.execute(
            "UPDATE executions SET inbox = inbox + 1, hold = 'ticket', wake_at_ms = NULL WHERE n = ?", (n,)
        )
    return Delivered(fresh=True, epoch=epoch)


def remove(cursor: apsw.Cursor, execution_id: str) -> str | None:
    """Take an ended execution away, and its definition with the last one. The status it had, or None."""
    row = cursor.execute(
        "SELECT n, status, hold, inbox, digest, workflow_id FROM executions WHERE execution_id = ?",
        (execution_id,),
    ).fetchone()
    if row is None:
        return None
    n, status, hold, inbox, digest, workflow_id = row
    if status not in TERMINAL or inbox or hold != "none":
        raise rules.is_live(execution_id, status)
    for table in ("journal", "messages", "snapshots", "executions"):
        cursor.execute(f"DELETE FROM {table} WHERE n = ?", (n,))  # noqa: S608 - one of the four names above
    # A digest fixes the workflow's id, and that has an index.
    cursor.execute(
        "DELETE FROM definitions WHERE digest = ?1 AND NOT EXISTS "
        "(SELECT 1 FROM executions WHERE workflow_id = ?2 AND digest = ?1) AND NOT EXISTS "
        "(SELECT 1 FROM workflows WHERE workflow_id = ?2 AND digest = ?1)",
        (digest, workflow_id),
    )
    return str(status)


def reconcile(cursor: apsw.Cursor, after: str, limit: int) -> tuple[list[tuple[str, int]], str | None]:
    """Of the next executions, those that have something to do, with their epochs; and where to go on.

    One whose inbox holds a message while nothing holds it is given its ticket back.
    """
    rows: list[Any] = cursor.execute(
        "SELECT execution_id, epoch, hold, inbox FROM executions WHERE execution_id > ? "
        "ORDER BY execution_id LIMIT ?",
        (after, limit),
    ).fetchall()
    held = []
    for execution_id, epoch, hold, inbox in rows:
        if hold != "ticket" and inbox:
            cursor.execute(
                "UPDATE executions SET hold = 'ticket', wake_at_ms = NULL WHERE execution_id = ?",
                (execution_id,),
            )
        if hold == "ticket" or inbox:
            held.append((execution_id, epoch))
    return held, rows[-1][0] if len(rows) == limit else None


def save_snapshot(cursor: apsw.Cursor, execution_id: str, snapshot: Snapshot) -> None:
    """Keep a snapshot unless a newer one is there."""
    n = _number(cursor, execution_id)
    if n is None:
        raise rules.unknown_execution(execution_id)
    cursor.execute(
        "INSERT INTO snapshots (n, version, format, data) VALUES (?, ?, ?, ?) ON CONFLICT (n) DO UPDATE "
        "SET version = excluded.version, format = excluded.format, data = excluded.data "
        "WHERE excluded.version >= version",
        (n, snapshot.version, snapshot.format, snapshot.data),
    )


def put_workflow(
    cursor: apsw.Cursor, workflow_id: str, digest: str, definition: bytes, at_ms: int
) -> WorkflowVersion:
    """Register a version, unless it is the newest one's content."""
    newest = cursor.execute(
        "SELECT version, digest, created_at_ms FROM workflows WHERE workflow_id = ? "
        "ORDER BY version DESC LIMIT 1",
        (workflow_id,),
    ).fetchone()
    if newest is not None and newest[1] == digest:
        version, at_ms = newest[0], newest[2]
    else:
        version = 1 if newest is None else newest[0] + 1
        _define(cursor, digest, definition)
        cursor.execute(
            "INSERT INTO workflows (workflow_id, version, digest, created_at_ms) VALUES (?, ?, ?, ?)",
            (workflow_id, version, digest, at_ms),
        )
    kept = cursor.execute("SELECT definition FROM definitions WHERE digest = ?", (digest,)).fetchone()
    return WorkflowVersion(
        workflow_id=workflow_id,
        version=version,
        digest=digest,
        definition=kept[0] if kept is not None else definition,
        created_at_ms=at_ms,
    )


def put_fact(cursor: apsw.Cursor, key: str, value: bytes) -> None:
    """Keep a small value."""
    cursor.execute(
        "INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def keep_fact(cursor: apsw.Cursor, key: str, value: bytes) -> bytes:
    """Keep a small value unless there is one; the one that is there then."""
    cursor.execute("INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING", (key, value))
    kept: Any = cursor.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
    return bytes(kept[0])


def timers_after(cursor: apsw.Cursor, horizon: Key, limit: int) -> tuple[list[Due], bool]:
    """The next `limit` timers beyond `horizon`, and whether there are no others.

    It writes nothing, and stands in the writer's queue so that its answer fits between the acts around it.
    """
    rows: list[Any] = cursor.execute(
        "SELECT execution_id, wake_at_ms, epoch FROM executions WHERE wake_at_ms IS NOT NULL "
        "AND (wake_at_ms, execution_id) > (?, ?) ORDER BY wake_at_ms, execution_id LIMIT ?",
        (*horizon, limit),
    ).fetchall()
    return [Due(*row) for row in rows], len(rows) < limit


def _number(cursor: apsw.Cursor, execution_id: str) -> int | None:
    row = cursor.execute("SELECT n FROM executions WHERE execution_id = ?", (execution_id,)).fetchone()
    return None if row is None else row[0]


def _define(cursor: apsw.Cursor, digest: str, definition: bytes) -> None:
    cursor.execute(
        "INSERT INTO definitions (digest, definition) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
        (digest, definition),
    )
