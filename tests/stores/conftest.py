"""A Redis of a module's own, and the same one emptied for each test."""

from collections.abc import Iterator

import pytest

from tests.redis_servers import Node, start_node


@pytest.fixture(scope="module")
def server() -> Iterator[Node]:
    """A node for as long as a module's tests run."""
    with start_node() as node:
        yield node


@pytest.fixture
def node(server: Node) -> Node:
    """The module's node, with nothing in it."""
    server.command("FLUSHALL")
    return server
