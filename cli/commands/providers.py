"""`sidestep providers`: which clouds can be called from the server, and how calls went lately."""

import typer

from cli.options import DEFAULT_SERVER, AsJson, Server


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(providers)


def providers(server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show the providers: configured or not, calls, failures, recent outcomes."""
    from cli.client import Client
    from cli.output import emit, say
    from cli.tables import providers as told

    with Client(server) as client:
        answer = client.get("/providers")
    if as_json:
        emit(answer)
        return
    say(*told((answer.get("providers") if isinstance(answer, dict) else answer) or ()))
