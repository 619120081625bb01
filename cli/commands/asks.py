"""`sidestep cancel`, `pause`, `resume` and `redrive`: what is asked of one execution, or of many at once."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.failures import usage
from cli.options import DEFAULT_SERVER, After, AsJson, Before, FailedOver, OnlyStatus, OnlyWorkflow, Server

if TYPE_CHECKING:
    from cli.client import Client

ASKS: Final = {
    "cancel": "Ask for executions to stop: one by its id, or all that the options find.",
    "pause": "Start nothing new of executions; what is in flight ends.",
    "resume": "Let paused executions go on.",
    "redrive": "Run executions again from what failed, keeping what completed.",
}

SHOWN: Final = 20
"""Refusals that people are shown; --json has more."""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for action, told in ASKS.items():
        app.command(action, help=told)(_command(action))


def _command(action: str) -> Callable[..., None]:
    def ask(
        execution_id: Annotated[
            str | None, typer.Argument(metavar="ID", help="The execution's id; or say which by options.")
        ] = None,
        status: OnlyStatus = None,
        workflow: OnlyWorkflow = None,
        failed_over: FailedOver = None,
        before: Before = None,
        after: After = None,
        reason: Annotated[str, typer.Option(help="Kept in the history.")] = "",
        bulk_id: Annotated[
            str | None,
            typer.Option(metavar="ID", help="Take a walk up again; nothing is asked twice."),
        ] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask before many are changed.")] = False,
        server: Server = DEFAULT_SERVER,
        as_json: AsJson = False,
    ) -> None:
        given = {
            "status": None if status is None else status.upper(),
            "workflowId": workflow,
            "failedOver": failed_over,
            "createdBefore": before,
            "createdAfter": after,
        }
        wanted = {name: value for name, value in given.items() if value is not None}
        if execution_id is not None:
            if wanted or dry_run or bulk_id is not None:
                raise usage("Name one execution, or say by options which are meant; not both.")
            _one(server, action, execution_id, reason, as_json=as_json)
        elif not wanted:
            raise usage(
                "Name an execution, or say which are meant: --status, --workflow, --failed-over, --before, "
                "--after."
            )
        else:
            body = {"action": action, "filter": wanted, "reason": reason, "dryRun": dry_run}
            _many(server, body, bulk_id, yes=yes, as_json=as_json)

    return ask


def _one(server: str, action: str, execution_id: str, reason: str, *, as_json: bool) -> None:
    from cli.client import Client, segment
    from cli.output import emit, say

    with Client(server) as client:
        answer = client.post(f"/executions/{segment(execution_id)}/{action}", {"reason": reason})
    if as_json:
        emit(answer)
    else:
        say(f"The {action} of {execution_id} is requested.")


def _many(server: str, body: dict[str, Any], bulk_id: str | None, *, yes: bool, as_json: bool) -> None:
    import secrets

    from cli.bulk import summary, walk
    from cli.client import Client
    from cli.output import complain, emit, on_line, say

    body["bulkId"] = bulk_id or secrets.token_hex(16)
    with Client(server) as client:
        if not body["dryRun"]:
            if not yes:
                _confirm(client, body)
            # Whoever is interrupted, or gives up, can take the walk up again.
            complain(f"{body['action']}: this walk is --bulk-id {on_line(body['bulkId'])}")
        sums = walk(client, body, complain)
    if as_json:
        emit(sums)
        return
    for one in sums["refused"][:SHOWN]:
        complain(f"  {one['executionId']}: {on_line(one['error'])}")
    if sums["refusedCount"] > SHOWN:
        complain(f"  and {sums['refusedCount'] - SHOWN} more")
    say(f"{'Dry run of ' if body['dryRun'] else ''}{body['action']}: {summary(sums)}.")


def _confirm(client: "Client", body: dict[str, Any]) -> None:
    """Ask on the terminal, with how many it will be. Raises Stop where there is none, or the answer is no."""
    from cli.bulk import AT_ONCE
    from cli.failures import Stop

    if not sys.stdin.isatty():
        raise usage("Nobody can be asked here: say --yes to change many executions, or --dry-run to count.")
    found = client.post("/executions/bulk", {**body, "dryRun": True, "limit": AT_ONCE})
    more = "at least " if found["nextCursor"] is not None else ""
    count = f"{more}{found['applied']} execution{'' if found['applied'] == 1 else 's'}"
    if not typer.confirm(f"{body['action']} {count}?", err=True):
        raise Stop("Nothing was changed.")
