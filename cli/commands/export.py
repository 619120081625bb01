"""`sidestep export`: executions as JSON Lines, to keep them before they are removed."""

import sys
from typing import Annotated

import typer

from cli.failures import FAILED, usage
from cli.options import DEFAULT_SERVER, After, AsJson, Before, OnlyStatus, OnlyWorkflow, Server


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(export)


def export(
    out: Annotated[
        str,
        typer.Option(metavar="FILE|-", help="Where to write; `-` is standard output.", show_default=False),
    ],
    status: OnlyStatus = None,
    workflow: OnlyWorkflow = None,
    before: Before = None,
    after: After = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after the last whole line of FILE.")
    ] = False,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Write executions with their histories and definitions as JSON Lines, newest first.

    Exit 1 where the server could not read the journal of one; all others are there.
    """
    from cli.client import Client
    from cli.export import Exported, Exporter
    from cli.export_file import export_file
    from cli.output import complain, emit

    if out == "-" and (resume or as_json):
        raise usage("--resume and --json need a FILE: standard output takes the executions.")
    wanted = {"status": status, "workflowId": workflow, "createdBefore": before, "createdAfter": after}
    with Client(server) as client:
        if out == "-":
            done = Exported()
            Exporter(client, sys.stdout.buffer, done, complain).run(wanted, None)
            sys.stdout.buffer.flush()
        else:
            with export_file(out, resume=resume) as (file, done, last):
                if last is not None:
                    complain(f"export: {out} has {done.told()}; going on.")
                Exporter(client, file, done, complain).run(wanted, last)
    complain(f"export: {done.told()}.")
    if as_json:
        emit(
            {
                "executions": done.executions,
                "definitions": len(done.definitions),
                "gone": done.gone,
                "unreadable": done.unreadable,
            }
        )
    if done.unreadable:
        raise typer.Exit(FAILED)
