"""The options that every command spells alike."""

from typing import Annotated, Final

import typer

DEFAULT_SERVER: Final = "http://127.0.0.1:3000"
DEFAULT_LOCALCLOUD: Final = "http://127.0.0.1:4100"

Server = Annotated[
    str, typer.Option("--server", envvar="SIDESTEP_SERVER", metavar="URL", help="The server to ask.")
]
LocalcloudUrl = Annotated[
    str,
    typer.Option("--url", envvar="SIDESTEP_LOCALCLOUD", metavar="URL", help="localcloud's control address."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")]
ExecutionId = Annotated[str, typer.Argument(metavar="ID", help="The execution's id.")]
Tethered = Annotated[
    bool,
    # For a parent that must not leave this process behind, however it dies itself.
    typer.Option("--tethered", hidden=True, help="End when standard input ends."),
]
StoreUrl = Annotated[
    str | None,
    # A command line is shown to everybody on the machine by `ps`.
    typer.Option(
        "--store",
        metavar="URL",
        help="sqlite:PATH, redis://HOST:PORT or memory:; one with a password belongs into SIDESTEP_STORE.  "
        "[default: sqlite:sidestep.db]",
    ),
]
Config = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="Settings, as TOML. Environment and options win."),
]
Processes = Annotated[
    int,
    typer.Option("--processes", min=1, max=64, metavar="N", help="How many processes. Several need a Redis."),
]
Supervised = Annotated[
    str | None,
    # For a process that `--processes` starts: which one it is.
    typer.Option("--supervised", hidden=True, metavar="JSON"),
]
OnlyStatus = Annotated[
    str | None, typer.Option("--status", metavar="STATUS", help="Only these, e.g. FAILED.")
]
OnlyWorkflow = Annotated[str | None, typer.Option("--workflow", metavar="ID", help="Only this workflow's.")]
FailedOver = Annotated[
    bool | None,
    typer.Option("--failed-over/--not-failed-over", help="Only those that sidestepped, or not."),
]
Before = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only those created before, e.g. 2026-01-02T03:04:05Z.")
]
After = Annotated[str | None, typer.Option(metavar="TIME", help="Only those created then or later.")]
