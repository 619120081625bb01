"""The file of the SQLite store: its lock, its schema, and how connections to it are set.

The schema in words. `executions` is one row an execution: what listings show, and what holds it. `journal`
is one row a commit; its rows lie in the order of writing, whatever their execution, so that the commits of a
batch share pages. `messages` is the inbox: `data` is NULL once a message was consumed, and the row stays, so
that its id is known for ever. Times are Unix epoch milliseconds.
"""

import fcntl
import os
import stat
from pathlib import Path

import apsw

from core.errors import ConfigurationError, StoreInUse, StoreMismatch

APPLICATION_ID = 0x51DE57E9  # says "Sidestep" to file(1) and to us
SCHEMA_VERSION = 1
_LEAST_BYTES = 512  # the smallest page that SQLite knows

_SCHEMA = """
CREATE TABLE executions (
  n             INTEGER PRIMARY KEY,
  execution_id  TEXT NOT NULL UNIQUE,
  workflow_id   TEXT NOT NULL,
  digest        TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  status        TEXT NOT NULL,
  current_step  TEXT,
  failed_over   INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  version       INTEGER NOT NULL,
  epoch         INTEGER NOT NULL,
  last_commit   TEXT,
  released      INTEGER NOT NULL,
  hold          TEXT NOT NULL,
  wake_at_ms    INTEGER,
  inbox         INTEGER NOT NULL,
  CHECK ((hold = 'timer') = (wake_at_ms IS NOT NULL))
) STRICT;
CREATE INDEX executions_status ON executions (status, execution_id);
CREATE INDEX executions_workflow ON executions (workflow_id, execution_id);
CREATE INDEX executions_workflow_status ON executions (workflow_id, status, execution_id);
CREATE INDEX executions_failed_over ON executions (execution_id) WHERE failed_over = 1;
CREATE INDEX executions_ticket ON executions (execution_id) WHERE hold = 'ticket';
CREATE INDEX executions_timer ON executions (wake_at_ms, execution_id) WHERE wake_at_ms IS NOT NULL;

CREATE TABLE journal (
  j         INTEGER PRIMARY KEY,
  n         INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  count     INTEGER NOT NULL,
  data      BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_seq ON journal (n, first_seq);

CREATE TABLE messages (
  i          INTEGER PRIMARY KEY,
  n          INTEGER NOT NULL,
  message_id TEXT NOT NULL,
  data       BLOB
) STRICT;
CREATE UNIQUE INDEX messages_id ON messages (n, message_id);
CREATE INDEX messages_waiting ON messages (n, i) WHERE data IS NOT NULL;

CREATE TABLE snapshots (
  n       INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  format  INTEGER NOT NULL,
  data    BLOB NOT NULL
) STRICT;

CREATE TABLE definitions (
  d          INTEGER PRIMARY KEY,
  digest     TEXT NOT NULL UNIQUE,
  definition BLOB NOT NULL
) STRICT;

CREATE TABLE workflows (
  workflow_id   TEXT NOT NULL,
  version       INTEGER NOT NULL,
  digest        TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (workflow_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  i             INTEGER PRIMARY KEY,
  caller        TEXT NOT NULL,
  key           TEXT NOT NULL,
  fingerprint   TEXT NOT NULL,
  execution_id  TEXT NOT NULL,
  expires_at_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX idempotency_key ON idempotency (caller, key);
CREATE INDEX idempotency_expiry ON idempotency (expires_at_ms);

CREATE TABLE facts (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""


def lock(path: Path) -> int:
    """Take the store's lock, `<file>.lock`, and return its descriptor; closing that lets go.

    The operating system drops the lock with its process, however that ends. Makes the store's file where it
    is missing. Raises StoreInUse and ConfigurationError.
    """
    beside = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Before the file is opened: closing it would drop the locks that this process holds by another name.
        if _has_other_names(path):
            os.close(descriptor)
            raise ConfigurationError(
                f"{path} has other names (hard links) by which another store could open it unseen; "
                "remove those, or choose another file"
            )
        # SQLite gives its other files the mode of this one.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreInUse(
            f"{path} is used by another store, in this process or another; "
            "stop that one, or choose another file with --store"
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise _unusable(path, error) from error
    return descriptor


def _has_other_names(path: Path) -> bool:
    """Whether hard links lead to this file: the lock, and SQLite's log, go by the name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink > 1


def _unusable(path: Path, error: OSError) -> ConfigurationError:
    if not path.parent.is_dir():
        return ConfigurationError(f"{path} cannot be made since {path.parent} is no folder; make it first")
    if path.is_dir():
        return ConfigurationError(f"{path} is a folder; name a file for the store")
    return ConfigurationError(
        f"{path} cannot be opened for writing ({error.strerror}); mend that or choose another file"
    )


def connect(path: Path, vfs: str | None, *, cache_mib: int) -> apsw.Connection:
    """A connection that waits 5 s for a lock of somebody's shell, and syncs each commit."""
    connection = apsw.Connection(str(path), vfs=vfs)
    try:
        connection.set_busy_timeout(5_000)
        for pragma in (
            "synchronous = FULL",
            "fullfsync = ON",  # macOS: an ordinary fsync stops at the drive's cache
            f"cache_size = {-1024 * cache_mib}",
            "temp_store = MEMORY",
            "trusted_schema = OFF",
            f"journal_size_limit = {64 << 20}",  # what a burst leaves of the log is given back
        ):
            connection.execute(f"PRAGMA {pragma}")
    except apsw.Error:
        connection.close()
        raise
    return connection


def check_size(path: Path) -> None:
    """Raise StoreMismatch for a file that is too short for a database: SQLite would take it for an empty one
    and write over it.
    """
    if 0 < path.stat().st_size < _LEAST_BYTES and not path.with_name(path.name + "-journal").exists():
        raise no_database(path)


def prepare(connection: apsw.Connection, path: Path) -> None:
    """Make the schema, or check that the one that is there is ours. Raises StoreMismatch."""
    application = connection.pragma("application_id")
    version = connection.pragma("user_version")
    if application != APPLICATION_ID and not _is_empty(connection):
        raise StoreMismatch(f"{path} is a database of another application; choose another file for the store")
    if application == APPLICATION_ID and version > SCHEMA_VERSION:
        raise StoreMismatch(
            f"{path} was made by a newer version (schema {version}, this one knows {SCHEMA_VERSION}); "
            "upgrade, or choose another file"
        )
    if connection.pragma("journal_mode", "wal") != "wal":
        raise ConfigurationError(
            f"{path} lies on a file system without shared memory; choose a file on a local disk"
        )
    if application != APPLICATION_ID:
        with connection:
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def no_database(path: Path) -> StoreMismatch:
    """The error for a file that SQLite cannot read."""
    return StoreMismatch(
        f"{path} is no SQLite database, or a damaged one; restore it from a backup or choose another file"
    )


def _is_empty(connection: apsw.Connection) -> bool:
    return connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
