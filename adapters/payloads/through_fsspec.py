"""Payloads in what fsspec reaches: Google Cloud Storage (`gcs://`), Azure Blob Storage (`abfs://`).

Both vendors promise that an object that was put is durable and seen at once. The file system is used through
fsspec's blocking interface, in threads, and without its caches: another process may have written meanwhile.
Credentials come from the vendors' own settings.
"""

import bisect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

from adapters.payloads import layout
from adapters.payloads.threads import Threads
from core.errors import ConfigurationError, PayloadNotFound, SidestepError, StoreUnavailable
from core.ports.payloads import Listing, Payload, Payloads

THREADS = 16
SECONDS = 60.0

_STAMPS = ("mtime", "updated", "last_modified", "LastModified", "created")
"""What file systems call an entry's time."""

EXTRAS = {"gcs": "gcs", "gs": "gcs", "abfs": "azure-blob", "abfss": "azure-blob", "az": "azure-blob"}
"""By scheme, the extra of this project that brings its file system."""

T = TypeVar("T")


class FsspecPayloads(Payloads):
    """`url` is scheme, container and path; `options` are the file system's own."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options
        self._threads = Threads("sidestep-payloads", THREADS, SECONDS)
        self._fs: Any = None
        self._root = ""

    @property
    def place(self) -> str:
        """The URL."""
        return self._url

    def inside(self, area: str) -> Payloads:
        """A longer path."""
        return FsspecPayloads(f"{self._url}/{area}", **self._options)

    async def open(self) -> None:
        """Make the file system, and look whether it answers.

        Raises ConfigurationError where there is none for this URL, StoreUnavailable where it does not answer.
        """
        self._threads.open()
        try:
            await self._threads.run(self._open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is under way."""
        await self._threads.close()
        self._fs = None

    async def put(self, key: str, data: bytes) -> None:
        """As the port says."""
        path = layout.path_of(key)
        await self._call(path, lambda fs, name: fs.pipe_file(name, data))

    async def get(self, key: str) -> bytes:
        """As the port says."""
        return bytes(await self._call(layout.path_of(key), lambda fs, name: fs.cat_file(name)))

    async def delete(self, key: str) -> None:
        """As the port says."""
        try:
            await self._call(layout.path_of(key), lambda fs, name: fs.rm_file(name))
        except PayloadNotFound:
            return

    async def stamp(self, key: str) -> int:
        """As the port says."""
        return await self._call(layout.path_of(key), lambda fs, name: _stamp(fs.info(name)))

    async def list(self, cursor: str | None, limit: int, group: str | None = None) -> Listing:
        """As the port says, by path."""
        return await self._threads.run(self._list, cursor, limit, group)

    # What the threads do.

    def _open(self) -> None:
        import fsspec  # noqa: PLC0415 - large, and few servers keep payloads there

        scheme = self._url.partition(":")[0]
        try:
            self._fs, root = fsspec.url_to_fs(
                self._url, skip_instance_cache=True, use_listings_cache=False, **self._options
            )
        except ImportError as error:
            extra = EXTRAS.get(scheme)
            mend = f"install Sidestep with its extra '{extra}'" if extra else "install its file system"
            raise ConfigurationError(
                f"SIDESTEP_PAYLOADS names {scheme}://, which needs a package that is missing: {mend}."
            ) from error
        except Exception as error:
            raise ConfigurationError(
                f"SIDESTEP_PAYLOADS names {scheme}://, which cannot be used as it is set up: "
                f"{type(error).__name__}."
            ) from error
        self._root = root.rstrip("/")
        self._children("")

    async def _call(self, path: str, act: Callable[[Any, str], T]) -> T:
        return await self._threads.run(self._do, path, act)

    def _do(self, path: str, act: Callable[[Any, str], T]) -> T:
        fs = self._ready()
        try:
            return act(fs, f"{self._root}/{path}")
        except FileNotFoundError:
            raise PayloadNotFound(f"{self.place} holds no {path}") from None
        except Exception as error:
            raise self._away(error) from error

    def _list(self, cursor: str | None, limit: int, group: str | None) -> Listing:
        after = None if cursor is None else layout.path_of(cursor)
        entries: list[Payload] = []
        for key, written_at_ms in self._walk(after, group):
            if len(entries) == limit:
                return Listing(tuple(entries), entries[-1].key)
            entries.append(Payload(key, written_at_ms))
        return Listing(tuple(entries), None)

    def _walk(self, after: str | None, group: str | None) -> Iterator[tuple[str, int]]:
        """Keys and times in the order of their paths, from behind `after`; one folder is listed at a time."""
        first = () if after is None else tuple(after.split("/"))
        shelves = sorted(self._children("")) if group is None else [layout.bucket_of(group)]
        for shelf in shelves[bisect.bisect_left(shelves, first[0]) :] if first else shelves:
            for folder in sorted(self._children(shelf)) if group is None else (group,):
                if first and (shelf, folder) < first[:2]:
                    continue
                for name, info in sorted(self._children(f"{shelf}/{folder}").items(), key=lambda one: one[0]):
                    if first and (shelf, folder, name) <= first:
                        continue
                    key = layout.key_of(f"{shelf}/{folder}/{name}")
                    if key is not None and info.get("type") == "file":
                        yield key, _stamp(info)

    def _children(self, path: str) -> dict[str, dict[str, Any]]:
        """What lies right under a path, by name."""
        fs = self._ready()
        try:
            found = fs.ls(f"{self._root}/{path}".rstrip("/"), detail=True, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except Exception as error:
            raise self._away(error) from error
        return {info["name"].rstrip("/").rpartition("/")[2]: info for info in found}

    def _ready(self) -> Any:
        if self._fs is None:
            raise StoreUnavailable(f"{self.place} is closed")
        return self._fs

    def _away(self, error: Exception) -> SidestepError:
        return StoreUnavailable(f"{self.place} cannot be used for now: {type(error).__name__}")


def _stamp(info: dict[str, Any]) -> int:
    """An entry's time. Raises KeyError where the file system tells none."""
    for name in _STAMPS:
        match info.get(name):
            case datetime() as at:
                return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
            case int() | float() as seconds:
                return round(seconds * 1000)
            case str() as text:
                return round(datetime.fromisoformat(text).timestamp() * 1000)
            case _:
                pass
    raise KeyError("no time")
