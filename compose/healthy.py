"""The image's health check: exits 0 where the process of this container answers `/livez` with 200.

Which port it listens on is its role's: the API's, the worker's or localcloud's control port. Only the
standard library, and little of that: it runs every few seconds in every container.
"""

import os
import socket
import sys

_SECONDS = 3.0
_PLACES = (("SIDESTEP_PORT", "3000", "/livez"), ("SIDESTEP_WORKER_PORT", "3001", "/livez"), ("", "4100", "/"))


def healthy(port: int, path: str) -> bool:
    """Whether HTTP on loopback answers 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
            connection.settimeout(_SECONDS)
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def main() -> int:
    """0 for healthy, 1 for not."""
    return 0 if any(healthy(int(os.environ.get(name) or port), path) for name, port, path in _PLACES) else 1


if __name__ == "__main__":
    sys.exit(main())
