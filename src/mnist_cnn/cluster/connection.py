"""A Ray cluster, or a local Ray: its address, the connection, and what to say if there is none."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from mnist_cnn.environment.installation import PACKAGE
from mnist_cnn.environment.machine import usable_cores
from mnist_cnn.errors import MnistCnnError, SettingError, first_line, requires_extra

LOCAL = "local"
_AUTO = "auto"  # the Ray that runs on this machine
_VARIABLE = "RAY_ADDRESS"  # with which Ray tells the programs that it starts where their cluster is
_VALID = "Valid: local, auto, ray://HOST:10001, HOST:6379."
_HOST = re.compile(r"(ray://)?[^\s/:]+:(?P<port>[0-9]{1,9})")
_PORTS = 2**16
_STORE = 128 * 2**20  # bytes of a local Ray's object store; images to read do not pass through it
_SECONDS = 5.0  # to wait for an address


class ClusterError(MnistCnnError):
    """A Ray cluster that cannot be reached, was lost, or whose machines cannot read."""


def check_address(address: str) -> str:
    """Return the address of a cluster; the empty one stands for that of the environment, or a local Ray.

    Raises:
        SettingError: It is not an address.
    """
    chosen = address or os.environ.get(_VARIABLE) or LOCAL
    host = _HOST.fullmatch(chosen)
    if host and not 0 < int(host["port"]) < _PORTS:
        raise SettingError(
            f"{_origin(address)}{chosen} does not end with a valid port. Valid: 1 to {_PORTS - 1}, usually 6379."
        )
    if host or chosen in (LOCAL, _AUTO):
        return chosen
    raise SettingError(
        f"{_origin(address)}{chosen} is not the address of a Ray cluster. {_VALID} To start Ray on this machine before "
        f"paths, write --ray={LOCAL}"
    )


def _origin(address: str) -> str:
    return "--ray " if address else f"the environment variable {_VARIABLE}="


@contextlib.contextmanager
def connected(address: str) -> Iterator[str]:
    """Connect to a cluster, or start a local Ray that ends with the block.

    Args:
        address: From `check_address`.

    Yields:
        Host and port of the cluster's head; nothing by ray://, where Ray notices itself if it is lost.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: No cluster answers at the address, or its version of Ray or Python differs.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with requires_extra("ray"):
        import ray
    _check_reachable(address)
    own: dict[str, Any] = {"num_cpus": usable_cores(), "object_store_memory": _STORE, "include_dashboard": False}
    try:
        ray.init(address, log_to_driver=False, logging_level="CRITICAL", **(own if address == LOCAL else {}))
    except Exception as error:  # of many classes
        raise ClusterError(_why_not_connected(address, error)) from error
    try:
        yield "" if address.startswith("ray://") else ray.get_runtime_context().gcs_address
    finally:
        ray.shutdown()


def missing_package(error: Exception, extra: str) -> str:
    """Return what to do if a task failed because a package is missing on its machine; empty for any other failure.

    Args:
        error: Of the task.
        extra: Those of this package that its machine needs.
    """
    if not isinstance(getattr(error, "cause", None), ModuleNotFoundError) and "No module named" not in str(error):
        return ""
    missing = re.search(r"No module named '([\w.]+)'", str(error))
    package = missing[1].partition(".")[0].replace("_", "-") if missing else PACKAGE
    return f"a machine of the cluster lacks {package}. Install {PACKAGE} with its extra {extra} on all of its machines."


def last_line(error: Exception) -> str:
    """Return the last line of an error that contains a traceback."""
    lines = str(error).strip().splitlines()
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _check_reachable(address: str) -> None:
    """Raise at once what Ray would find out in minutes."""
    if not _HOST.fullmatch(address):
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), _SECONDS).close()
    except OSError as error:
        raise ClusterError(
            f"no Ray cluster answers at {address} ({error.strerror or error}). {_start(address)}"
        ) from None


def _start(address: str) -> str:
    """Say what to do if no cluster is there."""
    origin = f" ({_VARIABLE} is set to it)" if address == os.environ.get(_VARIABLE) else ""
    return f"Check the address{origin}, or start Ray on this machine: --ray={LOCAL}"


def _why_not_connected(address: str, error: Exception) -> str:
    versions = re.findall(r"(?:Ray|Python): (\S+)", str(error))
    if len(versions) == 4:
        return (
            f"the cluster at {address} runs Ray {versions[0]} and Python {versions[1]}; here are Ray {versions[2]} and "
            f"Python {versions[3]}. Install the same versions."
        )
    if isinstance(error, ConnectionError) and address == _AUTO:
        return f"no Ray runs on this machine. Start it with: ray start --head; or only for this command: --ray={LOCAL}"
    if isinstance(error, ConnectionError):
        return f"no Ray cluster answers at {address} ({first_line(error)}). {_start(address)}"
    return f"Ray cannot use the cluster at {address}: {first_line(error)}. {_start(address)}"
