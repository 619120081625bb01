"""`sidestep rehearse`: a while without a provider, and what came of it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from cli.commands.providers import Actor, Duration, Provider, Region, Why, order
from cli.failures import FAILED
from cli.options import DEFAULT_SERVER, AsJson, Server


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(rehearse)


def rehearse(
    provider: Provider,
    for_: Duration = None,
    reason: Why = None,
    region: Region = None,
    actor: Actor = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Drain a provider for a while, bring it back, and report what its fallbacks made of it.

    Exit 1 where a step failed or was parked because of it. Ctrl-C brings the provider back.
    """
    from cli.client import Client
    from cli.output import emit, say
    from cli.rehearsal import Rehearsal
    from cli.rehearsed import report

    body = order("drain", for_, reason, region=region, actor=actor)
    body["reason"] = f"rehearsal: {body['reason'].strip()}"
    with Client(server) as client, _progress() as (progress, remark):
        answer = Rehearsal(client, provider.upper(), body, remark=remark, progress=progress).run()
    if as_json:
        emit(answer)
    else:
        say(*report(answer))
    if not answer["ok"]:
        raise typer.Exit(FAILED)


@contextmanager
def _progress() -> Iterator[tuple[Callable[[str], None], Callable[[str], None]]]:
    """What is told how it goes (a line that changes, on a terminal only), and what is told remarks."""
    from rich.console import Console
    from rich.text import Text

    from cli.output import clean, complain

    if not sys.stderr.isatty():
        yield (lambda _: None), complain
        return
    console = Console(stderr=True, highlight=False)
    with console.status("") as status:
        yield (
            lambda told: status.update(Text(clean(told))),
            lambda told: console.print(Text(clean(told)), soft_wrap=True),
        )
