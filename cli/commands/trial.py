"""`sidestep test`: run the definition in a file against supplied answers, without a server or a cloud."""

from itertools import groupby
from typing import Annotated, Any

import typer

from cli.failures import FAILED, USAGE, Stop, usage
from cli.options import AsJson

QUIET = frozenset({"WORKFLOW_CREATED", "ATTEMPT_SUCCEEDED"})
"""Events that tell a reader nothing beside the others."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("test")(trial)


def trial(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The definition, JSON; `-` is standard input.")],
    input_: Annotated[
        str | None,
        typer.Option("--input", metavar="FILE|JSON|-", help="The execution's input. Default {}."),
    ] = None,
    mocks: Annotated[
        str | None,
        typer.Option(
            "--mocks", metavar="FILE|JSON|-", help='The steps\' answers: {"step": [{"output": ...}]}.'
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a definition against supplied answers: no server, no cloud, and no waiting.

    Exit 0 when it completed, 1 when it ended otherwise or not at all, 2 when a file cannot be used or a step
    that was reached has no answer.
    """
    import asyncio

    from cli.documents import read_json, read_value
    from cli.output import emit, say

    if [file, input_, mocks].count("-") > 1:
        raise usage("Only one of the definition, the input and the answers can come from standard input.")
    definition = read_json(file)
    given = {} if input_ is None else read_value(input_, "--input")
    answers = None if mocks is None else read_value(mocks, "--mocks")
    result = asyncio.run(_tried(definition, given, answers))
    if as_json:
        emit(result)
    else:
        say(*_account(result))
    if result["status"] != "COMPLETED":
        raise typer.Exit(FAILED)


async def _tried(definition: Any, given: Any, answers: Any) -> dict[str, Any]:
    """The answer of `POST /workflows/test`, from here. Raises Stop."""
    import msgspec

    from api.bootstrap import trying
    from api.settings import load
    from core.errors import InvalidDefinition, InvalidMocks, TrialStopped
    from core.graph.reading import read_workflow

    try:
        workflow = read_workflow(definition)
        if workflow.language == "native" and not isinstance(given, dict):
            raise usage("The input of a native workflow must be a JSON object.")
        async with trying(load()) as trials:
            view = await trials.run(workflow, given, answers)
    except (InvalidDefinition, InvalidMocks) as invalid:
        from cli.client import told_detail

        problems = [
            {"pointer": one.pointer, "code": one.code, "detail": one.detail, "mend": one.mend}
            for one in invalid.problems
        ]
        raise Stop("\n".join(map(told_detail, problems)), USAGE, {"problems": problems}) from None
    except TrialStopped as stopped:
        raise Stop(str(stopped), FAILED) from None
    result: dict[str, Any] = msgspec.to_builtins(view)
    return result


def _account(result: dict[str, Any]) -> list[Any]:
    import json

    from rich.text import Text

    from cli import telling

    lines = [telling.event(one) for one in result["history"] if one["type"] not in QUIET]
    status = str(result["status"])
    lines += [Text(), Text(status, f"bold {telling.STYLES.get(status, '')}".strip())]
    lines.append(Text(f"steps   {' -> '.join(_runs(result['stepsEntered']))}"))
    if "output" in result:
        lines.append(Text(f"output  {json.dumps(result['output'], ensure_ascii=False)}"))
    if "error" in result:
        cause = f": {result['cause']}" if result.get("cause") else ""
        lines.append(Text(f"error   {result['error']}{cause}"))
    return lines


def _runs(names: list[str]) -> list[str]:
    """The names, with those that stand many times in a row told once: the items of a MAP are thousands."""
    counted = ((name, len(list(run))) for name, run in groupby(names))
    return [name if count == 1 else f"{name} ({count} times)" for name, count in counted]
