"""`sidestep providers` and `sidestep provider`: how the clouds stand, and what a person says of them."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from cli.failures import usage
from cli.options import DEFAULT_SERVER, AsJson, Server

WAYS: Final = {
    "drain": ("drain", "Send nothing new to a provider for a while; what is in flight ends."),
    "open": ("forceOpen", "Take a provider as dead for a while, whatever its breaker says."),
    "close": ("forceClosed", "Take a provider as well for a while, whatever its breaker says."),
}

Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="AWS, GCP, AZURE or HTTP.")]
Region = Annotated[
    str | None, typer.Option(metavar="REGION", help="Only there. Default: in all its regions.")
]
Actor = Annotated[
    str | None, typer.Option(metavar="NAME", help="Who says so. Default: the login name of the user.")
]
Duration = Annotated[
    str | None, typer.Option("--for", metavar="TIME", help="For how long: 30s, 30m, 2h; 7d at most.")
]
Why = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why. It is kept and shown.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(providers)
    group = typer.Typer(
        name="provider",
        help="One provider: how it stands, and what a person says of it.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command()(show)
    for name, (_, told) in WAYS.items():
        group.command(name, help=told)(_command(name))
    group.command()(lift)
    group.command()(events)
    app.add_typer(group)


def providers(server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show the providers: their breakers and why, calls, failures, sidesteps, the next probe."""
    from cli.client import Client
    from cli.output import complain, emit, say
    from cli.standing import about_replica, listed

    with Client(server) as client:
        answer = client.get("/providers")
    if as_json:
        emit(answer)
        return
    say(*listed(answer.get("providers") or ()))
    complain(*about_replica(answer))


def show(provider: Provider, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show one provider: its breakers, its functions, and how its newest calls ended."""
    from cli.client import Client
    from cli.output import emit, say
    from cli.standing import whole

    with Client(server) as client:
        answer = client.get(_path(provider))
    if as_json:
        emit(answer)
    else:
        say(*whole(answer))


def _command(name: str) -> Callable[..., None]:
    def override(
        provider: Provider,
        for_: Duration = None,
        reason: Why = None,
        region: Region = None,
        actor: Actor = None,
        server: Server = DEFAULT_SERVER,
        as_json: AsJson = False,
    ) -> None:
        from cli.client import Client
        from cli.output import complain, emit, on_line, say
        from cli.standing import overridden

        body = order(WAYS[name][0], for_, reason, region=region, actor=actor)
        with Client(server) as client:
            answer = client.put(f"{_path(provider)}/override", body)
        if as_json:
            emit(answer)
        else:
            say(overridden(provider.upper(), answer))
            if answer.get("note"):
                complain(f"Note: {on_line(str(answer['note']))}.")

    return override


def lift(
    provider: Provider,
    region: Annotated[
        str | None, typer.Option(metavar="REGION", help="That of the override, where it is for one only.")
    ] = None,
    actor: Actor = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """End what a person said of a provider, before its time."""
    from cli.client import Client
    from cli.output import emit, on_line, say

    with Client(server) as client:
        client.delete(f"{_path(provider)}/override", region=region, actor=who(actor) or None)
    if as_json:
        emit({"provider": provider.upper(), "region": region, "lifted": True})
    else:
        where = f" {on_line(region)}" if region else ""
        say(f"{on_line(provider.upper())}{where} goes by its breakers again.")


def events(
    provider: Annotated[str | None, typer.Argument(metavar="[PROVIDER]", help="Default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, newest first.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on after this one (a page's nextCursor).")] = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """List openings, closings and overrides, newest first."""
    from cli.client import Client
    from cli.output import complain, emit, say
    from cli.standing import happened

    path = "/providers" if provider is None else _path(provider)
    with Client(server) as client:
        page = client.get(f"{path}/events", limit=limit, before=cursor)
    if as_json:
        emit(page)
        return
    rows: list[dict[str, Any]] = page.get("events") or []
    if not rows:
        complain("Nothing has happened.")
        return
    say(*happened(rows))
    if page.get("nextCursor"):
        complain(f"There are more: --cursor {page['nextCursor']}")


def order(
    state: str, for_: str | None, reason: str | None, *, region: str | None, actor: str | None
) -> dict[str, Any]:
    """The body that asks for an override. Raises Stop (2) where the duration or the reason is missing."""
    from cli.durations import seconds

    missing = [
        f"{option} ({mend})"
        for option, given, mend in (
            ("--for", for_, "for how long, such as 30m"),
            ("--reason", reason and reason.strip(), "why"),
        )
        if not given
    ]
    if missing or for_ is None:
        raise usage(f"An override needs {' and '.join(missing)}.")
    body = {"state": state, "reason": reason, "forSeconds": seconds(for_, "--for"), "actor": who(actor)}
    return body if region is None else {**body, "region": region}


def who(actor: str | None) -> str:
    """The name that an audit event keeps: what was given, else the user's; empty where that has none."""
    import getpass

    if actor is not None:
        return actor
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _path(provider: str) -> str:
    from cli.client import segment

    # "events" is what all providers share, and no provider.
    name = segment(provider.upper())
    if name in {"", ".", ".."}:
        raise usage("Name a provider: AWS, GCP, AZURE or HTTP.")
    return f"/providers/{name}"
