"""What the rehearsal of the containers needs of Docker: Compose, and a death that Docker did not order."""

import asyncio
import json
import os
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.failures import USAGE, Stop

_LEAST: Final = (2, 24)
_SECONDS: Final = 120.0
_BUILD_SECONDS: Final = 900.0
_PAUSE: Final = 0.1
_TAIL: Final = 3_000


async def docker(
    *arguments: str, environment: Mapping[str, str] | None = None, seconds: float = _SECONDS
) -> str:
    """What `docker ARGUMENTS` prints. Raises Stop with the end of it where it fails or takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            "docker", *arguments, stdout=PIPE, stderr=STDOUT, env={**os.environ, **(environment or {})}
        )
    except FileNotFoundError:
        raise Stop("Docker is not installed here: this needs `docker` on PATH.", USAGE) from None
    try:
        async with asyncio.timeout(seconds):
            printed, _ = await process.communicate()
    except TimeoutError:
        raise Stop(f"docker {arguments[0]} took longer than {seconds:.0f} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    told = printed.decode(errors="replace").strip()
    if process.returncode:
        raise Stop(f"docker {' '.join(arguments[:6])} ended with {process.returncode}.\n{told[-_TAIL:]}")
    return told


async def check() -> None:
    """Raise Stop in one sentence where there is no Docker engine, or no Compose that is new enough."""
    try:
        await docker("info", "--format", "{{.ServerVersion}}", seconds=20)
    except Stop as problem:
        if problem.code == USAGE:
            raise
        raise Stop("No Docker engine answers here: start one, or let your user reach it.", USAGE) from None
    try:
        version = await docker("compose", "version", "--short", seconds=20)
        numbers = tuple(int(part) for part in version.lstrip("v").split("-")[0].split(".")[:2])
    except (Stop, ValueError):
        numbers = (0,)
    if numbers < _LEAST:
        raise Stop(f"This needs Docker Compose {_LEAST[0]}.{_LEAST[1]} or later.", USAGE)


async def build(image: str, folder: Path) -> None:
    """Build the image in `folder`. pip's settings of this machine, where there are any, go in as secrets.

    PIP_CONFIG_FILE names pip's configuration; PIP_CERT, else SSL_CERT_FILE, a bundle of authorities.
    """
    secrets = [*_secret("pip_conf", "PIP_CONFIG_FILE"), *_secret("ca", "PIP_CERT", "SSL_CERT_FILE")]
    base = os.environ.get("PYTHON_IMAGE")
    given = ["--build-arg", f"PYTHON_IMAGE={base}"] if base else []
    await docker(
        "build", *secrets, *given, "--tag", image, str(folder),
        environment={"DOCKER_BUILDKIT": "1"}, seconds=_BUILD_SECONDS,
    )  # fmt: skip


def _secret(name: str, *variables: str) -> list[str]:
    """The options for a secret that is the file which the first of the variables names that is set."""
    path = next((os.environ[variable] for variable in variables if os.environ.get(variable)), None)
    return ["--secret", f"id={name},src={path}"] if path is not None and Path(path).is_file() else []


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the project: its id, the service and which of the service's containers it is."""

    id: str
    service: str
    number: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.service}-{self.number}"


@dataclass(frozen=True, slots=True)
class Project:
    """A Compose project of its own name, with its own settings in the environment."""

    name: str
    folder: Path
    image: str
    environment: Mapping[str, str]
    options: Sequence[str] = ()

    async def compose(self, *arguments: str, seconds: float = _SECONDS) -> str:
        """`docker compose ARGUMENTS` on this project. Raises Stop."""
        return await docker(
            "compose",
            "--project-name", self.name,
            "--file", str(self.folder / "docker-compose.yml"),
            *self.options, *arguments,
            environment=self.environment, seconds=seconds,
        )  # fmt: skip

    async def down(self) -> None:
        """Take away everything, volumes too."""
        await self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    async def containers(self) -> list[Container]:
        """All of them."""
        ids = (await self.compose("ps", "--all", "--quiet")).split()
        found = []
        for one in json.loads(await docker("inspect", *ids)):
            labels = one["Config"]["Labels"]
            number = int(labels["com.docker.compose.container-number"])
            found.append(Container(one["Id"], labels["com.docker.compose.service"], number))
        return sorted(found, key=lambda one: (one.service, one.number))

    async def kill(self, victim: Container) -> None:
        """Kill -9 its first process, as the kernel would.

        `docker kill` would not do: a container that Docker was told to kill is not started again by its
        restart policy. So a helper that sees the engine's processes sends the signal.
        """
        pid = int((await inspect(victim))["State"]["Pid"])
        if not pid:
            raise Stop(f"{victim.name} was not running when it should have been killed.")
        await docker(
            "run", "--rm", "--pid=host", "--user=0", "--network=none", "--entrypoint=python",
            self.image, "-c", "import os, sys; os.kill(int(sys.argv[1]), 9)", str(pid),
        )  # fmt: skip


async def inspect(container: Container) -> dict[str, Any]:
    """What Docker knows of it."""
    found: list[dict[str, Any]] = json.loads(await docker("inspect", container.id))
    return found[0]


async def restarted(container: Container, before: int, seconds: float) -> float:
    """Wait until its restart policy has started it once more than `before`, and it is healthy.

    Returns the epoch seconds of that. Raises TimeoutError.
    """
    async with asyncio.timeout(seconds):
        while True:
            state = await inspect(container)
            health = (state["State"].get("Health") or {}).get("Status", "healthy")
            if state["RestartCount"] > before and state["State"]["Running"] and health == "healthy":
                return time.time()
            await asyncio.sleep(_PAUSE)
