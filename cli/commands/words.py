"""`sidestep signal`, `callback` and `waits`: what is said to steps that wait, and what they wait for."""

from typing import Annotated, Any

import typer

from cli.failures import usage
from cli.options import DEFAULT_SERVER, AsJson, ExecutionId, Server

Key = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="An idempotency key: the same again changes nothing."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for command in (signal, callback, waits):
        app.command()(command)


def signal(
    execution_id: ExecutionId,
    name: Annotated[str, typer.Argument(help="The signal that a WAIT names.")],
    payload: Annotated[str | None, typer.Option(metavar="JSON|@FILE|-", help="Default: null.")] = None,
    key: Key = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Send an execution a signal: the first WAIT for it takes it, now or later."""
    from cli.client import Client, segment
    from cli.output import emit, on_line, say

    value = None if payload is None else _value(payload, "--payload")
    with Client(server) as client:
        answer = client.post(
            f"/executions/{segment(execution_id)}/signals/{segment(name)}", value, _under(key)
        )
    if as_json:
        emit(answer)
    elif answer["fresh"]:
        say(f"The signal {on_line(name)} is sent.")
    else:
        say(f"The signal {on_line(name)} was sent under this key before.")


def callback(
    token: Annotated[str, typer.Argument(help="The token, or the whole address that holds it.")],
    success: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE|-", help="It is done, with this output.")
    ] = None,
    failure: Annotated[
        str | None, typer.Option(metavar="ERROR", help="It failed with the error of this name.")
    ] = None,
    cause: Annotated[str | None, typer.Option(help="With --failure: what happened.")] = None,
    heartbeat: Annotated[bool, typer.Option("--heartbeat", help="It is being worked on.")] = False,
    key: Key = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Say how an accepted call, or a WAIT for a callback, ended."""
    from cli.client import Client, segment
    from cli.output import emit, say

    if (success is not None) + (failure is not None) + heartbeat != 1:
        raise usage("Say one of --success JSON, --failure ERROR and --heartbeat.")
    if cause is not None and failure is None:
        raise usage("--cause goes with --failure.")
    body: dict[str, Any] = {"status": "heartbeat"}
    if success is not None:
        body = {"status": "success", "output": _value(success, "--success")}
    elif failure is not None:
        body = {"status": "failure", "error": failure, "cause": cause or ""}
    with Client(server) as client:
        answer = client.post(f"/callbacks/{segment(token.rstrip('/').rpartition('/')[2])}", body, _under(key))
    if as_json:
        emit(answer)
    else:
        said = "is told" if answer["fresh"] else "was told before"
        say(f"The {body['status']} of {answer['visit']} in {answer['executionId']} {said}.")


def waits(execution_id: ExecutionId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show what an execution waits for. The address of a callback is a secret: whoever has it may answer."""
    from cli.client import Client, segment
    from cli.output import emit, on_line, say

    with Client(server) as client:
        answer = client.get(f"/executions/{segment(execution_id)}/waits")
    if as_json:
        emit(answer)
        return
    if not answer["waits"]:
        say("It waits for nothing.")
    for wait in answer["waits"]:
        what = f"{wait['kind']} {wait['name']}" if "name" in wait else wait["kind"]
        since = f" since {wait['since']}" if "since" in wait else ""
        until = f" until {wait['until']}" if "until" in wait else ""
        say(on_line(f"{wait['visit']}: {what}{since}{until}"))
        if "nextPollAt" in wait:
            say(f"  asked next at {wait['nextPollAt']}")
        if "callbackUrl" in wait:
            say(f"  {on_line(wait['callbackUrl'])}")


def _under(key: str | None) -> dict[str, str] | None:
    return None if key is None else {"Idempotency-Key": key}


def _value(text: str, option: str) -> Any:
    """JSON as it is, or in the file after an `@`, or in standard input for `-`."""
    from cli.documents import parse_json, read_json

    if text == "-":
        return read_json("-")
    if text.startswith("@"):
        return read_json(text[1:])
    return parse_json(text.encode("utf-8", "surrogateescape"), option)
