"""`sidestep localcloud`: the clouds on loopback, their outages, and the ledger of what ran."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.failures import usage
from cli.options import DEFAULT_LOCALCLOUD, AsJson, LocalcloudUrl, Tethered

if TYPE_CHECKING:
    from cli.client import Client

_FACTS: Final = {
    "percent": "{:g} % of calls",
    "function": "function {}",
    "for_seconds": "for {:g} s",
    "delay_ms": "{:g} ms",
    "factor": "{:g} times as long",
    "ramp_seconds": "growing for {:g} s",
    "warm": "{} warm",
    "name": "{}",
    "error": "{}",
    "executed": "after the execution",
    "close_connections": "open connections stay",
    "status": "status {}",
    "flap": "{0[0]:g} s on, {0[1]:g} s off",
}

Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="AWS, GCP or AZURE.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(name="localcloud", invoke_without_command=True, rich_markup_mode=None)
    group.callback()(localcloud)
    group.command()(status)
    group.command()(outage)
    group.command()(clear)
    group.command()(ledger)
    app.add_typer(group)


def localcloud(
    context: typer.Context,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65_530, help="The control API's; AWS, GCP and AZURE take the next three. 0: any."
        ),
    ] = 4100,
    functions: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Functions of yours, beside the demo's (aws/ gcp/ azure/)."),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="HTTPS, with certificates of an authority made for this run.")
    ] = False,
    ca_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where that authority's certificate goes.")
    ] = None,
    names: Annotated[
        bool,
        typer.Option("--names", help="Print variables with names and a name server, for outages of the DNS."),
    ] = False,
    as_json: AsJson = False,
    tethered: Tethered = False,
) -> None:
    """Run AWS Lambda, Google Cloud Functions and Azure Functions on loopback, until Ctrl-C.

    It prints the environment variables that point a Sidestep server at it.
    """
    if context.invoked_subcommand is not None:
        return
    from cli.clouds import prepare, run_alone

    cloud = prepare(port, functions, tls=tls, ca_file=ca_file, names=names)
    run_alone(cloud, as_json=as_json, tethered=tethered)


def status(url: LocalcloudUrl = DEFAULT_LOCALCLOUD, as_json: AsJson = False) -> None:
    """Show the providers, their functions and the outages in force."""
    from cli.output import emit, say
    from cli.tables import clouds

    with _control(url) as client:
        answer = client.get("/")
    if as_json:
        emit(answer)
    else:
        say(*clouds(answer.get("providers") or {}))


def outage(
    provider: Provider,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="refused, dns-nxdomain, dns-timeout, bad-certificate, blackhole, blackhole-after, "
            "reply-lost, reset, error, 503, throttled, slow, cold-start, expired-credentials, corrupt, "
            "truncated, function-raises or function-raises-unmarked.",
        ),
    ],
    percent: Annotated[
        float | None, typer.Option(min=0, max=100, help="The share of calls that it meets.")
    ] = None,
    function: Annotated[str | None, typer.Option(help="Only this function.")] = None,
    for_: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", help="It ends by itself after this long.")
    ] = None,
    delay_ms: Annotated[
        float | None, typer.Option(help="How long `slow` or `cold-start` holds calls back.")
    ] = None,
    factor: Annotated[
        float | None, typer.Option(min=1, help="How many times as long calls take under `slow`.")
    ] = None,
    ramp: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long `slow` takes to grow to what it is.")
    ] = None,
    warm: Annotated[
        int | None, typer.Option(min=0, help="How many instances of a function `cold-start` finds there.")
    ] = None,
    error: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which error `error` answers, e.g. ServiceException; which class `function-raises` raises.",
        ),
    ] = None,
    message: Annotated[str | None, typer.Option(help="What the error says.")] = None,
    status_code: Annotated[int | None, typer.Option("--status", help="Which status `error` answers.")] = None,
    executed: Annotated[
        bool,
        typer.Option("--executed", help="The function runs, and its caller gets the error all the same."),
    ] = False,
    keep_connections: Annotated[
        bool,
        typer.Option(
            "--keep-connections", help="`dns-*` and `bad-certificate` leave open connections as they are."
        ),
    ] = False,
    flap: Annotated[
        str | None, typer.Option(metavar="ON,OFF", help="Seconds on and seconds off, again and again.")
    ] = None,
    url: LocalcloudUrl = DEFAULT_LOCALCLOUD,
    as_json: AsJson = False,
) -> None:
    """Put a provider out, in one of eighteen ways; it is in force when this returns."""
    from cli.client import segment
    from cli.output import emit, on_line, say

    options = {
        "percent": percent,
        "function": function,
        "for_seconds": for_,
        "delay_ms": delay_ms,
        "factor": factor,
        "ramp_seconds": ramp,
        "warm": warm,
        "error" if kind.startswith("function-raises") else "name": error,
        "message": message,
        "close_connections": False if keep_connections else None,
        "status": status_code,
        "executed": executed or None,
        "flap": None if flap is None else _pair(flap),
    }
    rule = {"kind": kind, **{name: value for name, value in options.items() if value is not None}}
    with _control(url) as client:
        answer = client.put(f"/outages/{segment(provider.upper())}", rule)
    if as_json:
        emit(answer)
        return
    facts = ", ".join(_FACTS[name].format(value) for name, value in rule.items() if name in _FACTS)
    say(f"{provider.upper()} is out: {on_line(kind)}{f' ({facts})' if facts else ''}")


def clear(
    provider: Annotated[str | None, typer.Argument(metavar="[PROVIDER]", help="Default: all.")] = None,
    url: LocalcloudUrl = DEFAULT_LOCALCLOUD,
    as_json: AsJson = False,
) -> None:
    """End the outages of a provider, or all."""
    from cli.client import segment
    from cli.output import emit, say

    path = "/outages" if provider is None else f"/outages/{segment(provider.upper())}"
    with _control(url) as client:
        answer = client.delete(path)
    if as_json:
        emit(answer)
        return
    ended = answer.get("ended", 0)
    say(f"{ended} outage{'' if ended == 1 else 's'} ended.")


def ledger(
    summary: Annotated[
        bool, typer.Option("--summary", help="Counts, and keys that ran more than once.")
    ] = False,
    provider: Annotated[str | None, typer.Option(help="Only this provider's.")] = None,
    function: Annotated[str | None, typer.Option(help="Only this function's.")] = None,
    key: Annotated[str | None, typer.Option(help="Only this idempotency key's.")] = None,
    url: LocalcloudUrl = DEFAULT_LOCALCLOUD,
    as_json: AsJson = False,
) -> None:
    """List every execution that really ran, as the clouds counted them."""
    from cli.output import complain, emit, say
    from cli.tables import ledger_summary, runs

    with _control(url) as client:
        if summary:
            answer = client.get("/ledger/summary")
            if as_json:
                emit(answer)
            else:
                say(*ledger_summary(answer))
            return
        entries = read_ledger(client, provider=provider and provider.upper(), function=function, key=key)
    if as_json:
        emit({"entries": entries})
    elif entries:
        say(*runs(entries))
    else:
        complain("Nothing ran.")


def read_ledger(client: "Client", **filters: str | None) -> list[dict[str, Any]]:
    """Every run that matches, oldest first, over all pages."""
    entries: list[dict[str, Any]] = []
    after = None
    while True:
        page = client.get("/ledger", limit=5_000, after=after, **filters)
        entries += page["entries"]
        after = page.get("next")
        if after is None:
            return entries


def _control(url: str) -> "Client":
    from cli.client import Client

    return Client(url, what="localcloud", start="sidestep localcloud", option="--url")


def _pair(text: str) -> list[float]:
    try:
        on, off = (float(part) for part in text.split(","))
    except ValueError as problem:
        raise usage(f"--flap takes seconds on and seconds off, such as 5,5; not {text!r}.") from problem
    return [on, off]
