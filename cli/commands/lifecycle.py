"""`sidestep rerun` and `resolve`: what a person asks of one execution."""

from typing import Annotated, Any

import typer

from cli.commands.providers import Actor, who
from cli.options import DEFAULT_SERVER, AsJson, ExecutionId, Server

Reason = Annotated[str, typer.Option(help="Kept in the history.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (rerun, resolve):
        app.command()(command)


def rerun(
    execution_id: ExecutionId,
    input_: Annotated[
        str | None, typer.Option("--input", metavar="FILE|JSON|-", help="Default: the same input.")
    ] = None,
    reason: Reason = "",
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Start a new execution of the same definition."""
    from cli.documents import read_input

    body: dict[str, Any] = {"reason": reason}
    if input_ is not None:
        body["input"] = read_input(input_)
    _ask(server, execution_id, "rerun", body, as_json=as_json)


def resolve(
    execution_id: ExecutionId,
    verdict: Annotated[
        str, typer.Option("--as", metavar="VERDICT", help="completed, failed, retry or failover.")
    ],
    step: Annotated[str | None, typer.Option(help="Which parked step, where there are several.")] = None,
    output: Annotated[
        str | None, typer.Option(metavar="FILE|JSON|-", help="With completed: the step's output, JSON.")
    ] = None,
    error: Annotated[str | None, typer.Option(help="With failed: the error's name.")] = None,
    cause: Annotated[str | None, typer.Option(help="With failed: what happened.")] = None,
    reason: Reason = "",
    actor: Actor = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Settle a parked step."""
    from cli.documents import read_value

    given = {"step": step, "error": error, "cause": cause, "actor": who(actor) or None}
    body: dict[str, Any] = {"as": verdict, "reason": reason}
    body |= {name: value for name, value in given.items() if value is not None}
    if output is not None:
        body["output"] = read_value(output, "--output")
    _ask(server, execution_id, "resolve", body, as_json=as_json)


def _ask(server: str, execution_id: str, action: str, body: dict[str, Any], *, as_json: bool) -> None:
    from cli.client import Client, segment
    from cli.output import emit, say

    with Client(server) as client:
        answer = client.post(f"/executions/{segment(execution_id)}/{action}", body)
    if as_json:
        emit(answer)
    elif action == "rerun":
        say(f"{answer['executionId']}  {answer['status']}")
    else:
        say(f"The {action} of {execution_id} is requested.")
