import asyncio
import os
from pathlib import Path

import pytest

from adapters.payloads.folder import FolderPayloads
from core.errors import ConfigurationError, PayloadNotFound, StoreUnavailable
from core.ports.payloads import Payloads
from core.testing.contracts.payloads import PayloadsContract, keys_of


class TestFolderPayloads(PayloadsContract):
    @pytest.fixture
    def unopened(self, tmp_path: Path) -> Payloads:
        return FolderPayloads(tmp_path / "payloads")


async def test_files_and_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    payloads = FolderPayloads(tmp_path / "payloads")
    await payloads.open()
    await payloads.put("group/name", b"secret")
    await payloads.close()
    modes = {
        oct((Path(folder) / name).stat().st_mode & 0o777)
        for folder, folders, files in os.walk(tmp_path)
        for name in (*folders, *files)
    }
    assert modes == {"0o700", "0o600"}


async def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "missing" / "payloads", tmp_path / "file" / "payloads"):
        with pytest.raises(ConfigurationError, match="SIDESTEP_PAYLOADS"):
            await FolderPayloads(root).open()


async def test_an_empty_folder_in_the_place_of_a_mounted_one_is_away_and_not_empty(tmp_path: Path) -> None:
    payloads = FolderPayloads(tmp_path / "payloads")
    await payloads.open()
    await payloads.put("group/name", b"x")
    (tmp_path / "payloads").rename(tmp_path / "elsewhere")
    (tmp_path / "payloads").mkdir()
    for act in (payloads.get("group/name"), payloads.put("group/name", b"x"), payloads.list(None, 1)):
        with pytest.raises(StoreUnavailable):
            await act
    (tmp_path / "payloads").rmdir()
    with pytest.raises(StoreUnavailable):
        await payloads.get("group/name")
    (tmp_path / "elsewhere").rename(tmp_path / "payloads")
    assert await payloads.get("group/name") == b"x"
    await payloads.close()


async def test_links_are_not_followed(tmp_path: Path) -> None:
    payloads = FolderPayloads(tmp_path / "payloads")
    await payloads.open()
    await payloads.put("group/name", b"x")
    (file,) = (tmp_path / "payloads").glob("*/group/name")
    (tmp_path / "secret").write_bytes(b"secret")
    file.with_name("link").symlink_to(tmp_path / "secret")
    with pytest.raises(StoreUnavailable):
        await payloads.get("group/link")
    assert await keys_of(payloads) == ["group/name"]
    await payloads.close()


async def test_strangers_files_are_not_listed(tmp_path: Path) -> None:
    payloads = FolderPayloads(tmp_path / "payloads")
    await payloads.open()
    await payloads.put("group/name", b"x")
    (tmp_path / "payloads" / "00").mkdir(exist_ok=True)
    (tmp_path / "payloads" / "00" / "group").mkdir(exist_ok=True)
    (tmp_path / "payloads" / "00" / "group" / "name").write_bytes(b"in a folder of another hash")
    (tmp_path / "payloads" / "00" / "file").write_bytes(b"")
    assert await keys_of(payloads) == ["group/name"]
    await payloads.close()


async def test_what_a_dead_writer_left_is_swept_after_an_hour(tmp_path: Path) -> None:
    payloads = FolderPayloads(tmp_path / "payloads")
    await payloads.open()
    left = tmp_path / "payloads" / ".unfinished" / "left"
    young = left.with_name("young")
    left.write_bytes(b"half")
    young.write_bytes(b"half")
    long_ago = left.stat().st_mtime - 3_700
    os.utime(left, (long_ago, long_ago))
    assert await keys_of(payloads) == []
    assert not left.exists()
    assert young.exists()
    await payloads.close()


async def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    payloads = FolderPayloads(tmp_path / "payloads")
    await payloads.open()
    await payloads.put("group/name", b"x")
    (shelf,) = (entry for entry in (tmp_path / "payloads").iterdir() if entry.name != ".unfinished")
    (shelf / "group" / "name").unlink()
    (shelf / "group").rmdir()
    (shelf / "group").write_bytes(b"a file where the folder should be")
    with pytest.raises(StoreUnavailable):
        await payloads.put("group/name", b"x")
    assert list((tmp_path / "payloads" / ".unfinished").iterdir()) == []
    await payloads.close()


async def test_the_event_loop_goes_on_during_a_large_write(tmp_path: Path) -> None:
    payloads = FolderPayloads(tmp_path / "payloads")
    await payloads.open()
    turns = 0
    writing = asyncio.create_task(payloads.put("group/name", b"x" * (8 << 20)))
    while not writing.done():
        await asyncio.sleep(0)
        turns += 1
    await writing
    await payloads.delete("group/name")
    with pytest.raises(PayloadNotFound):
        await payloads.get("group/name")
    await payloads.close()
    assert turns > 10
