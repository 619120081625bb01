"""The demo's stage: localcloud and a server, each a process of its own, on free ports, with a fresh store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.demo.children import Child, free_port


@dataclass(frozen=True, slots=True)
class Stage:
    """What is up: the server's URL, localcloud's control URL, and the processes."""

    server: str
    control: str
    children: tuple[Child, ...]

    def check(self) -> None:
        """Raise Stop where one of the processes has ended."""
        for child in self.children:
            child.check()


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """Set it up in `folder`, and take it down whatever happens. Raises Stop where it does not come up."""
    started: list[Child] = []
    try:
        clouds = Child.start("localcloud", ["localcloud", "--port", "0"], folder)
        started.append(clouds)
        where = await clouds.first_document()
        store = f"sqlite:{folder / 'sidestep.db'}"
        server = Child.start(
            "server",
            ["serve", "--port", str(free_port()), "--store", store],
            folder,
            {str(name): str(value) for name, value in where["environment"].items()},
        )
        started.append(server)
        there = await server.first_document()
        yield Stage(str(there["server"]), str(where["control"]), tuple(started))
    finally:
        for child in reversed(started):
            await child.end()
