"""Fixtures for every folder of tests that needs Redis: import them in its `conftest.py`.

Servers are started once a session and emptied between tests; a test that kills one starts its own.
"""

from collections.abc import Iterator

import pytest
from redis.exceptions import RedisError

from tests.redis_servers import ClusterNodes, Node, Sentinels, start_cluster, start_node, start_sentinel


@pytest.fixture(scope="session")
def redis_session() -> Iterator[Node]:
    with start_node() as node:
        yield node


@pytest.fixture(scope="session")
def sentinel_session() -> Iterator[Sentinels]:
    with start_sentinel() as group:
        yield group


@pytest.fixture(scope="session")
def cluster_session() -> Iterator[ClusterNodes]:
    with start_cluster() as cluster:
        yield cluster


@pytest.fixture
def redis_node(redis_session: Node) -> Node:
    """One node, empty."""
    redis_session.command("FLUSHALL")
    return redis_session


@pytest.fixture
def redis_sentinel(sentinel_session: Sentinels) -> Sentinels:
    """A primary with two replicas and three sentinels, empty."""
    sentinel_session.primary().command("FLUSHALL")
    return sentinel_session


@pytest.fixture
def redis_cluster(cluster_session: ClusterNodes) -> ClusterNodes:
    """Three primaries and three replicas, empty."""
    for node in cluster_session.nodes:
        try:
            node.command("FLUSHALL")
        except RedisError as error:  # a replica refuses, and follows its primary
            assert "READONLY" in str(error) or "read only" in str(error)  # noqa: PT017 - any other error is news
    return cluster_session
