"""`sidestep workflows`: definitions that the server keeps, by id and version."""

from typing import Annotated

import typer

from cli.failures import usage
from cli.options import DEFAULT_SERVER, AsJson, Server

WorkflowId = Annotated[str, typer.Argument(metavar="ID", help="The workflow's id.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(
        name="workflows",
        help="Register and read definitions.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("list")(list_)
    group.command()(put)
    group.command()(get)
    app.add_typer(group)


def list_(
    limit: Annotated[int, typer.Option(min=1, max=499, help="How many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on after this one (a page's nextCursor).")] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """List the registered workflows."""
    from cli.client import Client
    from cli.output import complain, emit, say
    from cli.tables import workflows

    with Client(server) as client:
        page = client.get("/workflows", limit=limit, cursor=cursor)
    if as_json:
        emit(page)
        return
    if not page.get("workflows"):
        complain("No workflows are registered.")
        return
    say(*workflows(page["workflows"]))
    if page.get("nextCursor"):
        complain(f"There are more: --cursor {page['nextCursor']}")


def put(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The definition, JSON; `-` is standard input.")],
    workflow_id: Annotated[
        str | None,
        typer.Option("--id", help="For a definition that names none (in the Amazon States Language)."),
    ] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Register a definition under its id; a changed one becomes the next version."""
    from cli.client import Client, segment
    from cli.documents import read_json
    from cli.output import emit, say

    document = read_json(file)
    name = document.get("id") if isinstance(document, dict) else None
    if name is None:
        name = workflow_id
    if not isinstance(name, str) or not name:
        raise usage(f"{file} has no id to register it under. Give it one with --id.")
    if workflow_id not in (None, name):
        raise usage(f"{file} has another id than --id says.")
    with Client(server) as client:
        kept = client.put(f"/workflows/{segment(name)}", document)
    if as_json:
        emit(kept)
    else:
        say(f"{name} version {kept.get('version')}")


def get(
    workflow_id: WorkflowId,
    version: Annotated[int | None, typer.Option(min=1, help="Default: the newest.")] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Print a registered definition, which is JSON; with --json, its version and digest around it."""
    from cli.client import Client, segment
    from cli.output import emit

    with Client(server) as client:
        kept = client.get(f"/workflows/{segment(workflow_id)}", version=version)
    emit(kept if as_json else kept["definition"])
