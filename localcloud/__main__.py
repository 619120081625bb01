"""`python -m localcloud`: the clouds on loopback, alone, until Ctrl-C."""

import argparse
import asyncio
import sys
from pathlib import Path

from localcloud.app import LocalCloud, serve
from localcloud.loading import FunctionsError
from localcloud.settings import LocalCloudSettings


def main() -> int:
    """Read the arguments and serve. Returns 0 after a signal, 2 where it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=4100, help="the control port; 0 takes free ones")
    parser.add_argument("--functions", type=Path, help="a directory with aws/, gcp/ and azure/")
    parser.add_argument("--env-file", type=Path, help="write what points a server here (mode 0600)")
    parser.add_argument("--advertised-host", help="the name that callers use, where it is not --host")
    parser.add_argument("--credentials-file", type=Path, help="where the service account's JSON goes")
    parser.add_argument("--tls", action="store_true", help="speak HTTPS, by an authority made for this run")
    parser.add_argument("--ca-file", type=Path, help="where that authority's certificate goes")
    parser.add_argument("--names", action="store_true", help="point a server at names, not at addresses")
    given = parser.parse_args()

    def ready(cloud: LocalCloud) -> None:
        # It writes the service account's file.
        environment = cloud.environment() if given.env_file or given.credentials_file else {}
        if given.env_file is not None:
            given.env_file.touch(mode=0o600)
            given.env_file.chmod(0o600)
            text = "".join(f"{name}={value}\n" for name, value in environment.items())
            given.env_file.write_text(text, encoding="utf-8")
        lines = [("control", cloud.control_url), *cloud.urls.items(), ("names", cloud.name_server)]
        for name, where in [*lines, *([("CA file", str(cloud.ca_file))] if cloud.ca_file else [])]:
            sys.stdout.write(f"{name:8} {where}\n")
        sys.stdout.flush()

    settings = LocalCloudSettings(
        host=given.host,
        port=given.port,
        functions=given.functions,
        advertised_host=given.advertised_host,
        credentials_file=given.credentials_file,
        tls=given.tls,
        ca_file=given.ca_file,
        names=given.names,
    )
    try:
        asyncio.run(serve(settings, ready))
    except (OSError, FunctionsError) as error:
        sys.stderr.write(f"localcloud: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
