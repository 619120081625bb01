"""`sidestep serve`: the server, with the clouds on loopback where that is asked for."""

from typing import Annotated

import typer

from cli.options import AsJson, Config, Processes, StoreUrl, Supervised, Tethered


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="The port; 0 is any free one.  [default: 3000]")
    ] = None,
    store: StoreUrl = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Take requests only; 'sidestep worker' does the work.")
    ] = False,
    processes: Processes = 1,
    localcloud: Annotated[
        bool, typer.Option("--localcloud", help="Start AWS, GCP and AZURE on loopback too, and call those.")
    ] = False,
    localcloud_port: Annotated[
        int,
        typer.Option(min=0, max=65_530, help="Its control API's; the clouds take the next three. 0: any."),
    ] = 4100,
    config: Config = None,
    as_json: AsJson = False,
    tethered: Tethered = False,
    supervised: Supervised = None,
) -> None:
    """Run the server until Ctrl-C.

    Settings come from options, then SIDESTEP_* variables, then the file of --config.
    """
    from api.roles import Role
    from cli.serving import Place, Wanted, run

    run(
        Wanted(
            options={
                name: value
                for name, value in (("host", host), ("port", port), ("store", store))
                if value is not None
            },
            config=config,
            localcloud_port=localcloud_port if localcloud else None,
            as_json=as_json,
            tethered=tethered,
            role=Role.API if no_worker else Role.BOTH,
            processes=processes,
            place=None if supervised is None else Place.read(supervised),
        )
    )
