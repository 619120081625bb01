"""`sidestep demo`: three clouds, a server, a stream of orders, and outages under it."""

from typing import Annotated

import typer

from cli.demo.script import DEFAULT_RATE, DEFAULT_SECONDS, LEAST_SECONDS
from cli.options import AsJson


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(demo)


def demo(
    seconds: Annotated[
        float, typer.Option(min=LEAST_SECONDS, max=86_400, help="How long it takes.")
    ] = DEFAULT_SECONDS,
    rate: Annotated[float, typer.Option(min=0.1, max=1_000, help="Orders a second.")] = DEFAULT_RATE,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the server and localcloud up afterwards, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Watch clouds go dark under a stream of orders, and every order complete.

    Starts localcloud and a server on free ports, puts AWS out in three ways, and then compares the server's
    journals with the clouds' ledgers. Exit 0 when every order completed and none was lost.
    """
    from cli.demo.play import Options, play

    raise typer.Exit(play(Options(seconds=seconds, rate=rate, keep=keep, as_json=as_json)))
