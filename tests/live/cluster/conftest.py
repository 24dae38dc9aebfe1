"""One cluster for a module: two nodes with Redis, three workers, each on a machine of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.live.cluster.nodes import Cluster, cluster
from tests.live.cluster.workers import Worker
from tests.machines import Network

MAX_ROOMS = 2
WORKERS = 3


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network() as made:
        yield made


@pytest.fixture(scope="module")
def nodes(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as stack:
        made = cluster(network, tmp_path_factory.mktemp("cluster"))
        stack.callback(made.end)
        made.start()
        yield made


@pytest.fixture(scope="module")
def workers(nodes: Cluster, network: Network) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        made = [Worker(nodes, network.machine(), MAX_ROOMS) for _ in range(WORKERS)]
        for worker in made:
            worker.start()
            stack.callback(worker.end)
        for worker in made:
            worker.ready()
        yield made
