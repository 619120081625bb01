"""Payloads in S3, or in what speaks its protocol.

An object that was put is durable and seen by every reader at once, which S3 promises. Credentials, region and
endpoint come from boto3's own settings (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL_S3`...). What is
needed: GetObject, PutObject, DeleteObject, and ListBucket, without which S3 does not tell what is missing
from what is forbidden.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from adapters.payloads import layout
from adapters.payloads.threads import Threads
from core.errors import ConfigurationError, PayloadNotFound, StoreUnavailable
from core.ports.payloads import Listing, Payload, Payloads

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THREADS = 16
SECONDS = 60.0
CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
ATTEMPTS = 3
"""How often one call is tried at once; whoever called then waits and tries again."""

PAGE = 1_000
"""S3's own limit."""

_MISSING = {"404", "NoSuchKey", "NotFound"}
_NEVER = {
    "403": "may not be used with these credentials",
    "404": "does not exist",
    "400": "is not in this region, or is no bucket's name",
    "301": "is in another region",
}

T = TypeVar("T")


class S3Payloads(Payloads):
    """Objects in `bucket` under `prefix`, which is empty or ends in a slash."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._threads = Threads("sidestep-payloads", THREADS, SECONDS)
        self._client: S3Client | None = None

    @property
    def place(self) -> str:
        """The bucket and the prefix."""
        return f"s3://{self._bucket}/{self._prefix}"

    def inside(self, area: str) -> Payloads:
        """A longer prefix."""
        return S3Payloads(self._bucket, f"{self._prefix}{area}/")

    async def open(self) -> None:
        """Look whether the bucket is there. Raises ConfigurationError where it is not or is forbidden."""
        self._threads.open()
        try:
            await self._threads.run(self._open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is under way and close the connections."""
        await self._threads.close()
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def put(self, key: str, data: bytes) -> None:
        """As the port says."""
        await self._call(lambda s3, name: s3.put_object(Bucket=self._bucket, Key=name, Body=data), key)

    async def get(self, key: str) -> bytes:
        """As the port says."""
        return await self._call(
            lambda s3, name: s3.get_object(Bucket=self._bucket, Key=name)["Body"].read(), key
        )

    async def delete(self, key: str) -> None:
        """As the port says."""
        await self._call(lambda s3, name: s3.delete_object(Bucket=self._bucket, Key=name), key)

    async def stamp(self, key: str) -> int:
        """As the port says."""
        found = await self._call(lambda s3, name: s3.head_object(Bucket=self._bucket, Key=name), key)
        return round(found["LastModified"].timestamp() * 1000)

    async def list(self, cursor: str | None, limit: int, group: str | None = None) -> Listing:
        """As the port says, by path."""
        return await self._threads.run(self._list, cursor, limit, group)

    # What the threads do.

    def _open(self) -> None:
        try:
            if self._client is None:
                self._client = boto3.session.Session().client(
                    "s3",
                    config=Config(
                        connect_timeout=CONNECT_SECONDS,
                        read_timeout=READ_SECONDS,
                        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                        max_pool_connections=THREADS,
                    ),
                )
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            why = _NEVER.get(_code(error))
            if why is None:
                raise self._away(error) from error
            raise ConfigurationError(
                f"The bucket {self._bucket} of SIDESTEP_PAYLOADS {why}; name one that this process may read, "
                "write and list."
            ) from error
        except BotoCoreError as error:
            if type(error).__name__ in _MISCONFIGURED:
                raise ConfigurationError(
                    f"SIDESTEP_PAYLOADS names S3, which cannot be reached as it is set up: {error}"
                ) from error
            raise self._away(error) from error

    async def _call(self, act: "Callable[[S3Client, str], T]", key: str) -> T:
        path = layout.path_of(key)
        return await self._threads.run(self._do, partial(act), path)

    def _do(self, act: "Callable[[S3Client, str], T]", path: str) -> T:
        try:
            return act(self._ready(), self._prefix + path)
        except ClientError as error:
            if _code(error) in _MISSING:
                raise PayloadNotFound(f"{self.place} holds no {path}") from None
            raise self._away(error) from error
        except BotoCoreError as error:
            raise self._away(error) from error

    def _list(self, cursor: str | None, limit: int, group: str | None) -> Listing:
        inside = "" if group is None else f"{layout.folder_of(group)}/"
        wanted: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + inside}
        if cursor is not None:
            wanted["StartAfter"] = self._prefix + layout.path_of(cursor)
        entries: list[Payload] = []
        while True:
            try:
                page = self._ready().list_objects_v2(**wanted, MaxKeys=min(PAGE, limit + 1))
            except (ClientError, BotoCoreError) as error:
                raise self._away(error) from error
            for found in page.get("Contents", []):
                key = layout.key_of(found["Key"].removeprefix(self._prefix))
                if key is not None:
                    if len(entries) == limit:
                        return Listing(tuple(entries), entries[-1].key)
                    entries.append(Payload(key, round(found["LastModified"].timestamp() * 1000)))
                wanted["StartAfter"] = found["Key"]
            if not page["IsTruncated"]:
                return Listing(tuple(entries), None)

    def _ready(self) -> "S3Client":
        if self._client is None:
            raise StoreUnavailable(f"{self.place} is closed")
        return self._client

    def _away(self, error: ClientError | BotoCoreError) -> StoreUnavailable:
        what = _code(error) if isinstance(error, ClientError) else type(error).__name__
        return StoreUnavailable(f"{self.place} cannot be used for now: {what}")


_MISCONFIGURED = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "NoRegionError",
    "ProfileNotFound",
    "ParamValidationError",
}


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "error"))
