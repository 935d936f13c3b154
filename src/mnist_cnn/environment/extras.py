"""Which requirements of this package and of its extras the environment meets, from the metadata of packages alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnist_cnn.environment.installation import PACKAGE, extra_requirements
from mnist_cnn.environment.machine import package_version

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# The extras for users, and what each adds.
PURPOSES = {
    "train": "training, evaluation and reports",
    "export": "export to the formats of other runtimes",
    "serve": "the drawing page and the HTTP API",
    "tune": "search for better settings",
    "postgresql": "search on several machines",
    "keras-tuner": "the search spaces for Keras Tuner",
    "tensorboard": "files for TensorBoard",
    "notebook": "the guided tour in JupyterLab",
    "ocr": "a second opinion on whole numbers",
    "ray": "reading on a Ray cluster, and Parquet files",
    "jax": "Keras on JAX instead of TensorFlow",
    "torch": "Keras on PyTorch instead of TensorFlow",
}


@dataclass(frozen=True)
class Dependency:
    """A package that this one requires."""

    name: str
    required: str  # version specifier, such as ">=2.0"
    installed: str  # version; empty if it is missing
    is_met: bool

    @property
    def is_missing(self) -> bool:
        """Whether it is not installed at all."""
        return not self.installed


def dependencies(extra: str = "") -> list[Dependency]:
    """List what an extra requires on this system; by default, what the package itself requires.

    Returns:
        Nothing if the package is not installed, as in a copied folder.
    """
    return [_look_up(requirement) for requirement in _requirements(extra)]


def is_complete(extra: str) -> bool:
    """Return whether all that an extra requires is installed in fitting versions."""
    return all(each.is_met for each in dependencies(extra))


def _requirements(extra: str) -> Iterator[Requirement]:
    from importlib.metadata import PackageNotFoundError, distribution

    from packaging.requirements import Requirement

    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:
        return
    if extra:
        yield from extra_requirements(installed, [extra])
        return
    for requirement in map(Requirement, installed.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _look_up(requirement: Requirement) -> Dependency:
    version = package_version(requirement.name)
    is_met = bool(version) and requirement.specifier.contains(version, prereleases=True)
    return Dependency(requirement.name, str(requirement.specifier), version, is_met)
