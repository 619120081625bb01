"""`sidestep`: the commands put together, and the last line of defence before a user sees a traceback."""

import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from cli.commands import (
    asks,
    demo,
    executions,
    export,
    graph,
    lifecycle,
    localcloud,
    providers,
    rehearse,
    run,
    serve,
    trial,
    validate,
    words,
    worker,
    workflows,
)
from cli.failures import FAILED, INTERRUPTED, Stop

TRACEBACK = "SIDESTEP_TRACEBACK"
"""Set to anything, it shows where an unexpected error came from."""


def build() -> typer.Typer:
    """The command line, whole."""
    app = typer.Typer(
        name="sidestep",
        help="Workflows that complete while a cloud is down.",
        no_args_is_help=True,
        invoke_without_command=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def options(
        *,
        version: Annotated[
            bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
        ] = False,
    ) -> None:
        if version:
            typer.echo(f"sidestep {metadata.version('sidestep')}")
            raise typer.Exit

    serve.register(app)
    worker.register(app)
    demo.register(app)
    run.register(app)
    executions.register(app)
    asks.register(app)
    lifecycle.register(app)
    words.register(app)
    export.register(app)
    validate.register(app)
    graph.register(app)
    trial.register(app)
    workflows.register(app)
    providers.register(app)
    rehearse.register(app)
    localcloud.register(app)
    return app


def main() -> None:
    """Run the command that `sys.argv` names, and exit."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A terminal that cannot show a character shows a question mark instead of failing.
            reconfigure(errors="replace")
    try:
        build()()
    except Stop as stop:
        _report(stop)
        sys.exit(stop.code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; there is nobody to tell. What is still buffered
        # goes nowhere, or the interpreter would fail on it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as unexpected:
        if os.environ.get(TRACEBACK):
            raise
        what = f"{type(unexpected).__name__}: {unexpected}" if str(unexpected) else type(unexpected).__name__
        _report(Stop(f"sidestep failed unexpectedly ({what}). Set {TRACEBACK}=1 to see where.", FAILED))
        sys.exit(FAILED)


def _report(stop: Stop) -> None:
    from cli.output import complain, emit

    if "--json" in sys.argv[1:]:
        emit(stop.document())
    complain(stop.message)


if __name__ == "__main__":
    main()
