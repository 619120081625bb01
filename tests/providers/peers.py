"""A peer over loopback sockets that does to a client what it is told, in a thread of its own.

A thread, so that it can act while the client's loop stands still.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue"


class Line:
    """One connection, as the peer has it."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.number = number
        self._sock = sock
        self._unread = b""

    def request(self) -> bytes:
        """The next request, whole; nothing where the client said no more."""
        while (end := self._unread.find(b"\r\n\r\n") + 4) < 4 or len(self._unread) < end + _length(
            self._unread[:end]
        ):
            more = self._sock.recv(65536)
            if not more:
                return b""
            self._unread += more
        size = end + _length(self._unread[:end])
        request, self._unread = self._unread[:size], self._unread[size:]
        return request

    def some(self) -> bytes:
        """Whatever has come of a request."""
        return self._sock.recv(100)

    def send(self, *pieces: bytes) -> None:
        """Send these, one after the other."""
        for piece in pieces:
            self._sock.sendall(piece)

    def reset(self) -> None:
        """Break it off."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def close(self) -> None:
        """Close it in good order."""
        self._sock.close()

    def until_gone(self) -> None:
        """Wait for the client to close it."""
        with contextlib.suppress(OSError):
            while self._sock.recv(65536):
                pass


class Peer:
    """Runs `behave` for each connection, one after the other in threads; `requests` are all that came."""

    def __init__(self, behave: Callable[["Peer", Line], None]) -> None:
        self._behave = behave
        self.requests: list[bytes] = []
        self.connections = 0
        self.go = threading.Event()
        """For a behaviour to wait for."""
        self.done = threading.Event()
        """For a behaviour to set."""
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    @contextlib.contextmanager
    def running(self, host: str = "127.0.0.1") -> Iterator["Peer"]:
        """Listen on a free port while the context lasts."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, 0), family=family) as listener:
            self.port = int(listener.getsockname()[1])
            self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
            accepting = threading.Thread(target=self._accept, args=(listener,))
            accepting.start()
            try:
                yield self
            finally:
                self.go.set()
                listener.shutdown(socket.SHUT_RDWR)
                accepting.join(10)
                for sock in self._open:
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)
                for thread in self._threads:
                    thread.join(10)
                for sock in self._open:
                    sock.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # shut down
            while True:
                sock, _ = listener.accept()
                sock.settimeout(10)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                self._open.append(sock)
                thread = threading.Thread(target=self._serve, args=(Line(sock, self.connections),))
                self._threads.append(thread)
                thread.start()

    def _serve(self, line: Line) -> None:
        with contextlib.suppress(OSError):  # the client went away
            self._behave(self, line)

    def next_request(self, line: Line) -> bytes:
        """Take a request, and note it."""
        request = line.request()
        if request:
            self.requests.append(request)
        return request


def answering(*pieces: bytes) -> Callable[[Peer, Line], None]:
    """Answer every request so, piece by piece."""

    def behave(peer: Peer, line: Line) -> None:
        while peer.next_request(line):
            line.send(*pieces)

    return behave


def _length(head: bytes) -> int:
    lower = head.lower()
    return int(lower.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in lower else 0
