import secrets
from pathlib import Path

import pytest

from adapters.payloads.build import open_payloads
from adapters.payloads.folder import FolderPayloads
from adapters.payloads.s3 import S3Payloads
from adapters.payloads.through_fsspec import FsspecPayloads
from core.errors import ConfigurationError
from core.ports.payloads import Payloads
from core.testing.contracts.payloads import PayloadsContract


class TestFsspecOnFiles(PayloadsContract):
    @pytest.fixture
    def unopened(self, tmp_path: Path) -> Payloads:
        return FsspecPayloads(f"file://{tmp_path}/payloads", auto_mkdir=True)


class TestFsspecInMemory(PayloadsContract):
    @pytest.fixture
    def unopened(self) -> Payloads:
        return FsspecPayloads(f"memory://{secrets.token_hex(8)}")


@pytest.mark.parametrize(("scheme", "extra"), [("gcs", "gcs"), ("abfs", "azure-blob")])
async def test_a_missing_package_is_named_with_its_extra(scheme: str, extra: str) -> None:
    payloads = open_payloads(f"{scheme}://bucket/prefix")
    assert payloads is not None
    with pytest.raises(ConfigurationError, match=f"'{extra}'"):
        await payloads.open()


def test_a_setting_names_its_place(tmp_path: Path) -> None:
    assert open_payloads("store") is None
    for url in (f"file:{tmp_path}", f"file://{tmp_path}", "file:payloads"):
        assert isinstance(open_payloads(url), FolderPayloads)
    inside = open_payloads(f"file://{tmp_path}")
    assert inside is not None
    assert inside.place == f"the folder {tmp_path}"
    for url, place in {
        "s3://bucket": "s3://bucket/",
        "s3://bucket/a/b/": "s3://bucket/a/b/",
    }.items():
        s3 = open_payloads(url)
        assert isinstance(s3, S3Payloads)
        assert s3.place == place
    assert isinstance(open_payloads("gcs://bucket/prefix"), FsspecPayloads)
    assert isinstance(open_payloads("abfs://c@account.dfs.core.windows.net/prefix"), FsspecPayloads)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:",
        "file:/",
        "s3:bucket",
        "s3://",
        "s3://b?secret",
        "s3://bucket/a//b",
        "gcs://",
        "http://secret:secret@host/",
        "ftp://secret@host/path",
        "memory://x",
        "abfs://secret:secret@host",
    ],
)
def test_a_setting_that_names_no_place_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SIDESTEP_PAYLOADS") as refused:
        open_payloads(url)
    assert "secret" not in str(refused.value)
