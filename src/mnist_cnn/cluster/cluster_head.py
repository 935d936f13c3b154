"""The head of a Ray cluster: whether it still answers. Ray itself waits for a lost one without a limit of time."""

from __future__ import annotations

import socket
import time

from mnist_cnn.cluster.connection import ClusterError

_SECONDS = 5.0  # to wait for an answer
_SILENCE = 20.0  # seconds after which a head that does not answer is lost; after 60, Ray would end this process itself


class ClusterHead:
    """The head of the cluster that is connected."""

    def __init__(self, address: str, continues: str) -> None:
        """Remember the head.

        Args:
            address: What `connected` yields; empty if the head is not to be asked.
            continues: A sentence that says how to go on if it is lost.
        """
        self._address = address
        self._continues = continues
        self._silent_since: float | None = None

    def check(self) -> None:
        """Raise `ClusterError` if the head has not answered for some time."""
        if self.answers():
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = time.monotonic()
        elif time.monotonic() - self._silent_since > _SILENCE:
            raise ClusterError(f"the cluster was lost (its head at {self._address} does not answer). {self._continues}")

    def answers(self) -> bool:
        """Return whether the head answers now."""
        host, _, port = self._address.rpartition(":")
        try:
            if self._address:
                socket.create_connection((host.strip("[]"), int(port)), _SECONDS).close()  # [] around IPv6
        except OSError:
            return False
        return True
