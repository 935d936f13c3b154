"""Work on the machines of a cluster, which share a folder: what is checked before it begins, and how it ends.

Nothing here imports Ray or Keras: a machine that lacks one of them can still say so.
"""

from __future__ import annotations

import contextlib
import os
import pkgutil
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mnist_cnn.cluster.connection import ClusterError, last_line, missing_package
from mnist_cnn.environment.installation import PACKAGE
from mnist_cnn.environment.machine import package_version
from mnist_cnn.errors import MissingExtraError, MnistCnnError, WriteError, first_line, requires_extra


@dataclass(frozen=True)
class SharedFolder:
    """A folder in which machines work, and how each of them finds out whether it is really the same one."""

    root: str  #: absolute
    mark: str  #: a file in it, locked by the process that gives out the work
    version: str = field(default_factory=lambda: package_version(PACKAGE))  #: of this package

    def find_problem(self) -> str:
        """Return why this machine cannot work in the folder: one line, empty if it can."""
        if (here := package_version(PACKAGE)) != self.version:
            return (
                f"{PACKAGE} {here or 'of unknown version'} is installed, not {self.version}. Install the same version "
                "on all machines of the cluster."
            )
        if not Path(self.mark).exists():
            return (
                f"it does not have the folder {self.root}. Use a folder that all machines share under the same path; "
                "choose it with --runs-dir."
            )
        try:
            with FileLock(self.mark, timeout=0):
                return (
                    f"the file system of {self.root} does not share locks between machines, so two of them could train "
                    "the same network. Use one that does, such as NFS 4; choose the folder with --runs-dir."
                )
        except Timeout:
            return ""
        except OSError as error:
            return f"it cannot write to {self.root} ({error.strerror or error}). Make the folder writable there."


@contextlib.contextmanager
def shared(root: Path) -> Iterator[SharedFolder]:
    """Mark a folder for other machines while the block gives out work.

    Raises:
        WriteError: It is not writable here.
    """
    root = root.resolve()
    mark = root / f".ray-{uuid.uuid4().hex}.lock"
    lock = FileLock(mark)
    try:
        lock.acquire()
    except OSError as error:
        raise WriteError(
            f"{root} cannot be written ({error.strerror or error}). Choose another folder with --runs-dir."
        ) from error
    try:
        yield SharedFolder(str(root), str(mark))
    finally:
        lock.release()
        mark.unlink(missing_ok=True)


@dataclass(frozen=True)
class Outcome:
    """How work on another machine ended: with a value, or with a problem."""

    value: Any = None
    problem: str = ""  #: one line
    exit_code: int = 0  #: of the problem
    host: str = field(default_factory=socket.gethostname)  #: the machine
    is_host: bool = False  #: the machine is the problem, not the work

    def get(self) -> Any:
        """Return the value.

        Raises:
            ClusterError: The machine could not do the work.
            MnistCnnError: The work failed.
        """
        if not self.problem:
            return self.value
        where = "" if self.host == socket.gethostname() else f"{self.host}, a machine of the cluster: "
        if self.is_host:
            raise ClusterError(f"{self.host}, a machine of the cluster, cannot work: {self.problem}")
        error = MnistCnnError(f"{where}{self.problem}")
        error.exit_code = self.exit_code
        raise error


def attempt(folder: SharedFolder, environment: Mapping[str, str], extra: str, work: str, *arguments: Any) -> Outcome:
    """Do work on this machine, a worker of the cluster.

    Args:
        folder: Where it is done.
        environment: Variables that libraries read when they are loaded; those of the machine come first.
        extra: Of this package that the work needs.
        work: The name of a function, as MODULE:FUNCTION, so that only this process imports what it needs.
        arguments: Of the function.
    """
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    if problem := folder.find_problem():
        return Outcome(problem=problem, exit_code=ClusterError.exit_code, is_host=True)
    try:
        with requires_extra(extra):
            function = pkgutil.resolve_name(work)
    except MissingExtraError as error:
        return Outcome(problem=str(error), exit_code=error.exit_code, is_host=True)
    return outcome_of(function, *arguments)


def outcome_of(work: Callable[..., Any], *arguments: Any) -> Outcome:
    """Do work, and return how it ended. Only errors of this package are outcomes; any other is raised."""
    try:
        return Outcome(work(*arguments))
    except MnistCnnError as error:
        return Outcome(problem=str(error), exit_code=error.exit_code)


def explain_lost(error: Exception, extra: str, continues: str) -> ClusterError:
    """Return what to say about an error of Ray's own.

    Args:
        error: From Ray, or a `ConnectionError`.
        extra: Of this package that the work needs on each machine.
        continues: A sentence that says how to go on.
    """
    if missing := missing_package(error, extra):
        return ClusterError(missing)
    if getattr(error, "cause", None) is not None:  # raised by the work
        return ClusterError(f"the work failed on the cluster: {last_line(error)}. {continues}")
    return ClusterError(f"the cluster was lost ({first_line(error)}). {continues}")
