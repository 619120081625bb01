"""One server with localcloud for all tests that only need one."""

from collections.abc import Iterator

import pytest

from tests.cli.running import Sidestep, document, started


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URLs of a server and of its localcloud's control API."""
    folder = tmp_path_factory.mktemp("server")
    ports = ("--port", "0", "--localcloud-port", "0")
    with started("serve", "--localcloud", *ports, "--json", folder=folder) as process:
        where = document(process.stdout)
        yield where["server"], where["localcloud"]["control"]


@pytest.fixture
def sidestep(up: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Sidestep:
    """The command, in an empty folder, pointed at the server."""
    return Sidestep(tmp_path_factory.mktemp("user"), *up)
