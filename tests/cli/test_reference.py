"""The reference page names every command and every option, and no others."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from cli.main import build

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
SHARED = {"--json", "--server", "--url", "--help", "--tethered", "--supervised"}
"""Said once at the top of the page, or hidden."""


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    yield " ".join(path), command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


def test_the_page_names_every_command_and_option() -> None:
    page = PAGE.read_text()
    options = set()
    for name, command in commands(get_command(build()), ("sidestep",)):
        assert name in page
        options |= {option for parameter in command.params for option in parameter.opts if option[:2] == "--"}
        options |= {option for parameter in command.params for option in parameter.secondary_opts}
    assert options - SHARED == set(re.findall(r"(?<![\w`]-)(--[a-z][a-z-]+)", page)) - SHARED
