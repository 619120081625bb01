"""`sidestep run`: start an execution of the definition in a file, and wait for it on request."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.failures import FAILED, STILL_RUNNING, usage
from cli.options import DEFAULT_SERVER, AsJson, Server

if TYPE_CHECKING:
    from cli.client import Client


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(run)


def run(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="The definition, JSON; `-` is standard input.")
    ] = None,
    workflow: Annotated[
        str | None, typer.Option(metavar="ID", help="Run this registered workflow instead of a file.")
    ] = None,
    input_: Annotated[
        str | None,
        typer.Option(
            "--input", metavar="FILE|JSON|-", help="The execution's input, natively an object. Default {}."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end, and show it.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Wait no longer than this; the execution goes on."),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key and request again is the same execution.")
    ] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Start an execution.

    With --wait, exit 0 when it completed, 1 when it ended otherwise, is parked or is
    paused, 4 when --timeout passed.
    """
    from cli.account import account
    from cli.client import Client, segment
    from cli.documents import read_input, read_json
    from cli.output import complain, emit, say, terminal_width

    if (file is None) == (workflow is None):
        raise usage("Name a file, or a registered workflow with --workflow; not both.")
    if file == "-" and input_ == "-":
        raise usage("Only one of the definition and the input can come from standard input.")
    if timeout is not None and not wait:
        raise usage("--timeout goes with --wait.")
    body: dict[str, Any] = {"workflowId": workflow} if file is None else {"workflow": read_json(file)}
    body["input"] = read_input(input_)
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}

    with Client(server) as client:
        created = client.post("/executions", body, headers)
        execution_id = str(created["executionId"])
        if not wait:
            if as_json:
                emit(created)
            else:
                say(f"{execution_id}  {created.get('status', 'PENDING')}")
                complain(f"Follow it with: sidestep watch {execution_id}")
            return
        ended = _wait(client, execution_id, timeout)
        view = client.get(f"/executions/{segment(execution_id)}")
    if as_json:
        emit(view)
    else:
        say(*account(view, width=terminal_width()))
    if not ended:
        complain(f"It is still {view.get('status')} after {timeout:g} s, and goes on.")
        raise typer.Exit(STILL_RUNNING)
    if view.get("status") != "COMPLETED":
        raise typer.Exit(FAILED)


def _wait(client: "Client", execution_id: str, seconds: float | None) -> bool:
    """Wait for the end, with the progress on standard error where that is a terminal. False: not in time."""
    from cli.follow import Follower, WaitedEnough
    from cli.progress import progress

    with progress(execution_id) as note:
        follower = Follower(client, execution_id, seconds=seconds, remark=note.remark)
        try:
            for event in follower.events():
                note.event(event)
        except WaitedEnough:
            return False
    return True
