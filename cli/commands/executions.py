"""`sidestep list`, `show` and `watch`: what happens to executions."""

from typing import Annotated, Any

import typer

from cli.failures import FAILED
from cli.options import (
    DEFAULT_SERVER,
    After,
    AsJson,
    Before,
    ExecutionId,
    FailedOver,
    OnlyStatus,
    OnlyWorkflow,
    Server,
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("list")(list_)
    app.command()(show)
    app.command()(watch)


def list_(
    status: OnlyStatus = None,
    workflow: OnlyWorkflow = None,
    failed_over: FailedOver = None,
    before: Before = None,
    after: After = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on after this one (a page's nextCursor).")] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """List executions, newest first."""
    from cli.client import Client
    from cli.output import complain, emit, say
    from cli.tables import executions

    with Client(server) as client:
        page = client.get(
            "/executions",
            status=status,
            workflowId=workflow,
            failedOver=None if failed_over is None else str(failed_over).lower(),
            createdBefore=before,
            createdAfter=after,
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        emit(page)
        return
    rows: list[dict[str, Any]] = page.get("executions") or []
    if not rows:
        complain("No executions.")
        return
    say(*executions(rows))
    if page.get("nextCursor"):
        complain(f"There are more: --cursor {page['nextCursor']}")


def show(
    execution_id: ExecutionId,
    history: Annotated[bool, typer.Option("--history", help="Print its events too.")] = False,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Show an execution: its steps, attempt by attempt."""
    from rich.text import Text

    from cli import telling
    from cli.account import account
    from cli.client import Client, segment
    from cli.output import emit, say, terminal_width

    with Client(server) as client:
        view = client.get(f"/executions/{segment(execution_id)}")
    if as_json:
        emit(view)
        return
    say(*account(view, width=terminal_width()))
    if history:
        say(
            "",
            Text("history", "bold"),
            *(Text("  ") + telling.event(one) for one in view.get("history") or ()),
        )
        if view.get("historyTruncated"):
            say("  (older events are not shown; `sidestep watch` tells all)")


def watch(execution_id: ExecutionId, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Follow an execution until it ends, from its first event on.

    Lost connections are taken up again. Exit 0 when it completed, 1 when it ended otherwise, is
    parked or is paused. With --json each event is one line of JSON.
    """
    from cli import telling
    from cli.client import Client
    from cli.follow import Follower
    from cli.output import complain, emit_line, say

    with Client(server) as client:
        follower = Follower(client, execution_id, remark=complain)
        for event in follower.events():
            if as_json:
                emit_line(event)
            else:
                say(telling.event(event))
    if follower.status == "PARKED":
        complain("It is parked: a person has to settle it.")
    elif follower.status == "PAUSED":
        complain("It is paused: it goes on when it is resumed.")
    if follower.status != "COMPLETED":
        raise typer.Exit(FAILED)
