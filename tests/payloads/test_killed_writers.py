"""A writer that is killed leaves whole payloads or none."""

import asyncio
import signal
import sys
from pathlib import Path

from adapters.payloads.folder import FolderPayloads
from core.testing.contracts.payloads import keys_of

ROOT = Path(__file__).parents[2]

WRITER = """
import asyncio, sys
from adapters.payloads.folder import FolderPayloads

async def main():
    payloads = FolderPayloads(sys.argv[1])
    await payloads.open()
    async def write(number):
        while True:
            data = bytes([number]) * 300_000
            await payloads.put(f"group-{number}/name", data)
            print(number, flush=True)
    await asyncio.gather(*map(write, range(6)))

asyncio.run(main())
"""


async def test_a_writer_that_is_killed_leaves_whole_payloads(tmp_path: Path) -> None:
    acknowledged: set[int] = set()
    for _ in range(3):
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", WRITER, str(tmp_path / "payloads"),
            stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            assert writer.stdout is not None
            for _ in range(20):
                acknowledged.add(int(await writer.stdout.readline()))
        finally:
            writer.send_signal(signal.SIGKILL)
            await writer.communicate()
        payloads = FolderPayloads(tmp_path / "payloads")
        await payloads.open()
        found = await keys_of(payloads)
        assert {f"group-{number}/name" for number in acknowledged} <= set(found)
        for key in found:
            number = int(key.partition("/")[0].removeprefix("group-"))
            assert await payloads.get(key) == bytes([number]) * 300_000
        await payloads.close()
