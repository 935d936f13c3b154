"""Whether the head of a cluster is lost; without Ray."""

from __future__ import annotations

import socket
from unittest import mock

import pytest

from mnist_cnn.cluster import cluster_head
from mnist_cnn.cluster.cluster_head import ClusterHead
from mnist_cnn.cluster.connection import ClusterError


def test_a_head_is_lost_only_if_it_is_silent_for_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = mock.Mock()
    monkeypatch.setattr(cluster_head, "time", clock)
    with socket.create_server(("127.0.0.1", 0)) as server:
        head = ClusterHead(f"127.0.0.1:{server.getsockname()[1]}", "It continues.")
        head.check()
    for clock.monotonic.return_value in (100.0, 115.0):
        head.check()
    clock.monotonic.return_value = 125.0
    with pytest.raises(ClusterError, match=r"its head at 127\.0\.0\.1:\d+ does not answer\). It continues"):
        head.check()
