"""Payloads in a folder of this machine, or of a file system that machines share.

What was put survives the death of the process and the loss of power: the bytes are synced before they get
their name, and the folder after it. Files are 0600, folders 0700.

A file system that was unmounted leaves an empty folder under the same name. So the folder is known by its
inode: another one in its place is a place that is away, and no place without payloads.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from adapters.payloads import layout
from adapters.payloads.threads import Threads
from core.errors import ConfigurationError, PayloadNotFound, StoreUnavailable
from core.ports.payloads import Listing, Payload, Payloads, check_key

THREADS = 8
SECONDS = 60.0

_UNFINISHED = ".unfinished"
_FORGOTTEN_NS = 3_600 * 1_000_000_000
"""What a writer that died left behind is swept after an hour."""

T = TypeVar("T")


class FolderPayloads(Payloads):
    """`root` is made where it is missing, the folder above it is not. `area` is a folder in it."""

    def __init__(self, root: str | Path, area: str | None = None) -> None:
        self._above = Path(root).absolute()
        self._root = self._above if area is None else self._above / area
        self._threads = Threads("sidestep-payloads", THREADS, SECONDS)
        self._identity: tuple[int, int] | None = None
        self._synced: set[str] = set()

    @property
    def place(self) -> str:
        """The folder."""
        return f"the folder {self._root}"

    def inside(self, area: str) -> Payloads:
        """A folder in this one."""
        return FolderPayloads(self._root, area)

    async def open(self) -> None:
        """Make the folder ready. Raises ConfigurationError where it cannot be one."""
        self._threads.open()
        try:
            await self._threads.run(self._open)
        except BaseException:
            await self._threads.close()
            raise

    async def close(self) -> None:
        """Finish the writes under way."""
        await self._threads.close()

    async def put(self, key: str, data: bytes) -> None:
        """As the port says."""
        group, name = check_key(key)
        await self._threads.run(self._put, layout.bucket_of(group), group, name, data)

    async def get(self, key: str) -> bytes:
        """As the port says."""
        return await self._threads.run(self._get, layout.path_of(key))

    async def delete(self, key: str) -> None:
        """As the port says; the group's folder goes with its last payload."""
        await self._threads.run(self._delete, layout.path_of(key))

    async def stamp(self, key: str) -> int:
        """As the port says."""
        return await self._threads.run(self._stamp, layout.path_of(key))

    async def list(self, cursor: str | None, limit: int, group: str | None = None) -> Listing:
        """As the port says, by path."""
        return await self._threads.run(self._list, cursor, limit, group)

    # What the threads do.

    def _open(self) -> None:
        try:
            self._above.mkdir(mode=0o700, exist_ok=True)
            self._root.mkdir(mode=0o700, exist_ok=True)
            (self._root / _UNFINISHED).mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._above.parent)
            _sync_folder(self._root.parent)
            found = self._root.stat()
        except OSError as error:
            raise ConfigurationError(
                f"{self._root} cannot be used for payloads ({error.strerror}); set SIDESTEP_PAYLOADS to "
                "'file:PATH' with a path in an existing folder that this user may write to."
            ) from error
        self._identity = (found.st_dev, found.st_ino)
        self._synced.clear()
        self._sweep()

    def _put(self, bucket: str, group: str, name: str, data: bytes) -> None:
        unfinished = self._root / _UNFINISHED / f"{group}.{secrets.token_hex(8)}"[:250]
        shelf = self._root / bucket
        folder = shelf / group
        with self._away():
            self._check_here()
            try:
                _write(unfinished, data)
                while True:
                    shelf.mkdir(mode=0o700, exist_ok=True)
                    folder.mkdir(mode=0o700, exist_ok=True)
                    try:
                        unfinished.replace(folder / name)
                    except FileNotFoundError:
                        # The group's last payload was deleted meanwhile, and its folder with it.
                        if not unfinished.exists():
                            raise
                    else:
                        break
            except BaseException:
                with contextlib.suppress(OSError):
                    unfinished.unlink()
                raise
            with contextlib.suppress(FileNotFoundError):  # deleted again already
                _sync_folder(folder)
            _sync_folder(shelf)
            if bucket not in self._synced:
                _sync_folder(self._root)
                self._synced.add(bucket)

    def _get(self, path: str) -> bytes:
        with self._away():
            try:
                descriptor = os.open(self._root / path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                self._check_here()
                raise PayloadNotFound(f"{self.place} holds no {path}") from None
            with os.fdopen(descriptor, "rb") as file:
                return file.read()

    def _delete(self, path: str) -> None:
        with self._away():
            self._check_here()
            file = self._root / path
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it holds more
                file.parent.rmdir()

    def _stamp(self, path: str) -> int:
        with self._away():
            try:
                return (self._root / path).stat().st_mtime_ns // 1_000_000
            except FileNotFoundError:
                self._check_here()
                raise PayloadNotFound(f"{self.place} holds no {path}") from None

    def _list(self, cursor: str | None, limit: int, group: str | None) -> Listing:
        after = None if cursor is None else layout.path_of(cursor)
        entries: list[Payload] = []
        with self._away():
            self._check_here()
            if cursor is None:
                self._sweep()
            for key, written_at_ms in self._walk(after, group):
                if len(entries) == limit:
                    return Listing(tuple(entries), entries[-1].key)
                entries.append(Payload(key, written_at_ms))
        return Listing(tuple(entries), None)

    def _walk(self, after: str | None, group: str | None) -> Iterator[tuple[str, int]]:
        """Keys and times in the order of their paths, from behind `after`."""
        first = () if after is None else tuple(after.split("/"))
        shelves = layout.BUCKETS if group is None else (layout.bucket_of(group),)
        for shelf in shelves:
            if first and shelf < first[0]:
                continue
            for folder in _names(self._root / shelf) if group is None else (group,):
                if first and (shelf, folder) < first[:2]:
                    continue
                for name in _names(self._root / shelf / folder):
                    if first and (shelf, folder, name) <= first:
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        found = (self._root / shelf / folder / name).lstat()
                        key = layout.key_of(f"{shelf}/{folder}/{name}")
                        if key is not None and stat.S_ISREG(found.st_mode):
                            yield key, found.st_mtime_ns // 1_000_000

    def _sweep(self) -> None:
        """Take away what writers that died left unfinished."""
        folder = self._root / _UNFINISHED
        probe = folder / f"now.{secrets.token_hex(8)}"
        _write(probe, b"")
        now = probe.stat().st_mtime_ns
        probe.unlink()
        for name in _names(folder):
            with contextlib.suppress(FileNotFoundError):
                if now - (folder / name).stat().st_mtime_ns > _FORGOTTEN_NS:
                    (folder / name).unlink()

    def _check_here(self) -> None:
        found = self._root.stat()
        if (found.st_dev, found.st_ino) != self._identity:
            raise StoreUnavailable(f"{self._root} is not the folder any more that was opened")

    @contextlib.contextmanager
    def _away(self) -> Iterator[None]:
        """A file system that fails is a place that is away."""
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(f"{self.place} cannot be used for now: {error.strerror}") from error


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted, without a Path for each
    except (FileNotFoundError, NotADirectoryError):
        return []


def _write(path: Path, data: bytes) -> None:
    """A new file, synced."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) or 0 :]
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
