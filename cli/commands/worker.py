"""`sidestep worker`: a process that drives executions and takes no requests."""

from typing import Annotated

import typer

from cli.options import AsJson, Config, Processes, StoreUrl, Supervised, Tethered


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(worker)


def worker(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help="Where it tells of its health: /livez, /readyz, /metrics. 0: nowhere.  [default: 0]",
        ),
    ] = None,
    store: StoreUrl = None,
    processes: Processes = 1,
    config: Config = None,
    as_json: AsJson = False,
    tethered: Tethered = False,
    supervised: Supervised = None,
) -> None:
    """Drive executions until Ctrl-C, with any number of others, on a store that processes can share.

    Told to end, it claims nothing more, finishes the calls under way within the grace time, and gives back
    the rest. Settings come from options, then SIDESTEP_* variables, then the file of --config.
    """
    from api.roles import Role
    from cli.serving import Place, Wanted, run

    run(
        Wanted(
            options={
                name: value for name, value in (("worker_port", port), ("store", store)) if value is not None
            },
            config=config,
            localcloud_port=None,
            as_json=as_json,
            tethered=tethered,
            role=Role.WORKER,
            processes=processes,
            place=None if supervised is None else Place.read(supervised),
        )
    )
