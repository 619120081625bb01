"""The place of payloads that a setting names."""

import re
from pathlib import Path

from adapters.payloads.folder import FolderPayloads
from adapters.payloads.through_fsspec import EXTRAS, FsspecPayloads
from core.errors import ConfigurationError
from core.ports.payloads import Payloads

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()=/ -]{0,512}")
_FSSPEC = re.compile(r"[A-Za-z0-9@][A-Za-z0-9@._/=-]{1,512}")


def open_payloads(url: str) -> Payloads | None:
    """The place that `url` names, not yet open: `file:PATH`, `s3://BUCKET/PREFIX`, `gcs://...`, `abfs://...`;
    None for `store`, which keeps payloads in the store. Raises ConfigurationError.
    """
    if url == "store":
        return None
    scheme, _, rest = url.partition(":")
    path = rest.removeprefix("//")
    match scheme:
        case "file" if rest and "\0" not in rest and Path(rest).name:
            return FolderPayloads(Path(re.sub("^//(?=/)", "", rest)))
        case "s3" if rest.startswith("//"):
            bucket, _, prefix = path.partition("/")
            prefix = prefix.strip("/")
            if _BUCKET.fullmatch(bucket) and _PREFIX.fullmatch(prefix) and "//" not in prefix:
                from adapters.payloads.s3 import S3Payloads  # noqa: PLC0415 - boto3 is large

                return S3Payloads(bucket, f"{prefix}/" if prefix else "")
        case _ if scheme in EXTRAS and rest.startswith("//") and _FSSPEC.fullmatch(path):
            return FsspecPayloads(url.rstrip("/"))
        case _:
            pass
    # The URL may hold a password; it is not repeated.
    raise ConfigurationError(
        "SIDESTEP_PAYLOADS names no place for payloads that there is; set it to 'file:PATH', "
        "'s3://BUCKET/PREFIX', 'gcs://BUCKET/PREFIX', "
        "'abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX' or 'store'."
    )
