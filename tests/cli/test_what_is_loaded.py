"""A server loads what it needs and no more: what it holds in memory from its start begins here."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.cli.running import environment

LARGE = {
    "aiohttp", "azure.identity", "boto3", "botocore", "fsspec", "google.auth", "jsonata", "jsonpath_rfc9535",
    "localcloud", "redis", "regex", "requests", "rich", "urllib3",
}  # fmt: skip

SERVE = """
import atexit, sys
wanted, sys.argv[1:] = sys.argv[1].split(), sys.argv[2:]
atexit.register(lambda: print("loaded", *(name for name in wanted if name in sys.modules)))
from cli.main import main
main()
"""


def test_a_server_that_is_up_has_loaded_no_library_that_it_does_not_need() -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SERVE,
            " ".join(("msgspec", *LARGE)),
            "serve",
            "--port",
            "0",
            "--store",
            "memory:",
        ],
        cwd=Path(__file__).parents[2],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "is up" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert said.splitlines()[-1].split() == ["loaded", "msgspec"]
