"""A disk that forgets what was not synced.

`LossyDisk` is a virtual file system of SQLite on top of the real one. It sees every write to the database
and its log, and counts the syncs. `cut` ends it: from then on every write fails, and `restore` puts back
what the platters held: what was synced before the cut, plus any part of what was written since, in any
order, the last piece torn. That is what a drive with a cache may do.
"""

import random
import threading
from pathlib import Path

import apsw

SECTOR = 512


class _Content:
    """One file as the platters have it, and the writes that are only in the cache."""

    def __init__(self, durable: bytes) -> None:
        self.durable = bytearray(durable)
        self.cached: list[tuple[int, bytes] | int] = []  # a write, or a length cut to

    def sync(self) -> None:
        for change in self.cached:
            self.apply(change)
        self.cached.clear()

    def apply(self, change: tuple[int, bytes] | int) -> None:
        if isinstance(change, int):
            del self.durable[change:]
            return
        offset, data = change
        if len(self.durable) < offset:
            self.durable.extend(bytes(offset - len(self.durable)))
        self.durable[offset : offset + len(data)] = data


class LossyDisk(apsw.VFS):
    """Register it by making it, and give its `name` to a store as `vfs`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.syncs = 0
        self.cut_after_writes: int | None = None
        self.writes = 0
        self.is_cut = threading.Event()
        self._lock = threading.Lock()
        self._files: dict[str, _Content] = {}
        super().__init__(name, base="")

    def xOpen(  # noqa: N802 - SQLite's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None:
            return apsw.VFSFile("", name, flags)
        with self._lock:
            if path not in self._files:
                file = Path(path)
                self._files[path] = _Content(file.read_bytes() if file.exists() else b"")
        return _LossyFile(self, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        self.check()
        super().xDelete(filename, syncdir)
        with self._lock:
            # Deleting reaches the disk late or early; early is the harder case for a log.
            self._files.pop(filename, None)

    def check(self) -> None:
        if self.is_cut.is_set():
            raise apsw.IOError("the power is off")

    def cut(self) -> None:
        """Power off: nothing is written or synced any more."""
        self.is_cut.set()

    def restore(self, rng: random.Random, survive: float) -> None:
        """Put the real files into the state that the platters were in.

        Of the writes that were not synced each is kept with probability `survive`, whole or torn at a
        sector.
        """
        with self._lock:
            for path, content in self._files.items():
                for change in content.cached:
                    if rng.random() >= survive:
                        continue
                    if isinstance(change, tuple) and rng.random() < 0.3:
                        offset, data = change
                        change = (offset, data[: SECTOR * rng.randint(0, len(data) // SECTOR)])  # noqa: PLW2901 - torn
                    content.apply(change)
                Path(path).write_bytes(bytes(content.durable))
                Path(path + "-shm").unlink(missing_ok=True)

    # What files report.

    def wrote(self, path: str, change: tuple[int, bytes] | int) -> None:
        with self._lock:
            self.writes += 1
            self._files.setdefault(path, _Content(b"")).cached.append(change)
            if self.cut_after_writes is not None and self.writes >= self.cut_after_writes:
                self.is_cut.set()

    def synced(self, path: str) -> None:
        with self._lock:
            self.syncs += 1
            content = self._files.get(path)
            if content is not None:
                content.sync()


class _LossyFile(apsw.VFSFile):
    def __init__(
        self, disk: LossyDisk, path: str, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self._disk = disk
        self._path = path
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.check()
        super().xWrite(data, offset)
        self._disk.wrote(self._path, (offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.check()
        super().xTruncate(newsize)
        self._disk.wrote(self._path, newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.check()
        super().xSync(flags)
        self._disk.synced(self._path)
