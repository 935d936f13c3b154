"""What `mnist-cnn doctor` finds out, without importing Keras and without a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_cnn.datasets.catalog import DIGITS
from mnist_cnn.datasets.known import CACHE_VARIABLE, cache_root, find_place
from mnist_cnn.datasets.registry import SOURCES
from mnist_cnn.environment.extras import PURPOSES, Dependency, dependencies
from mnist_cnn.environment.installation import install_command, package_command
from mnist_cnn.environment.machine import describe_environment, is_x86, nvidia_gpus, onednn_setting, package_version
from mnist_cnn.errors import MnistCnnError, first_line
from mnist_cnn.files import is_writable

_SAMPLE = "chalk.png"


@dataclass(frozen=True)
class Extra:
    """The state of one extra."""

    name: str
    purpose: str
    dependencies: list[Dependency]
    command: str  # that installs it; empty if how the package was installed is unknown

    @property
    def lacking(self) -> list[str]:
        """The names of what is missing or has a version that does not fit."""
        return [each.name for each in self.dependencies if not each.is_met]

    @property
    def state(self) -> str:
        """One word: installed; incomplete, if at most half is lacking; missing; or unknown, without metadata."""
        if not self.dependencies:
            return "unknown"
        if not self.lacking:
            return "installed"
        is_started = 2 * len(self.lacking) <= len(self.dependencies)  # extras share packages with the base
        return "incomplete" if is_started else "missing"


@dataclass(frozen=True)
class Diagnosis:
    """All findings."""

    environment: dict[str, Any]  # from `describe_environment`
    onednn: str  # "on", "off", or "TensorFlow's default"
    gpus: list[str]
    reads: bool  # whether the included weights read a sample
    extras: list[Extra]
    data: dict[str, str]  # name → where it is; empty if it is not on this machine
    cache: Path
    cache_is_writable: bool
    problems: list[str]  # each with the next step

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as values for JSON."""
        return {
            **self.environment,
            "onednn": self.onednn,
            "gpus": self.gpus,
            "reads": self.reads,
            "extras": {
                each.name: {"state": each.state, "lacking": each.lacking, "command": each.command}
                for each in self.extras
            },
            "data": self.data,
            "cache": {"path": str(self.cache), "writable": self.cache_is_writable},
            "problems": self.problems,
        }


def diagnose() -> Diagnosis:
    """Look at packages, extras, data and hardware, and read one sample with the included weights."""
    environment = describe_environment()
    versions = {"mnist-cnn": "", "onnxruntime": package_version("onnxruntime")}
    environment["packages"] = versions | environment["packages"]
    extras = [
        Extra(name, purpose, dependencies(name), install_command([name]) or "") for name, purpose in PURPOSES.items()
    ]
    places = {name: find_place(source) for name, source in SOURCES.items()}
    data = {name: str(place) if place else "" for name, place in places.items()}
    data[DIGITS] = "in scikit-learn" if package_version("scikit-learn") else ""
    cache = cache_root()
    cache_is_writable = is_writable(cache)
    failure = _read_sample()
    problems = [*failure, *_misfits(extras)]
    if not cache_is_writable:
        problems.append(f"{cache} cannot be written, so nothing can be downloaded. Set {CACHE_VARIABLE} to a folder.")
    return Diagnosis(
        environment, _onednn(), nvidia_gpus(), not failure, extras, data, cache, cache_is_writable, problems
    )


def _read_sample() -> list[str]:
    """Read a sample with the included weights, and return what went wrong."""
    remedy = "Install this package again, and report it if that does not help."
    try:
        from mnist_cnn.reading.recognizer import Recognizer
        from mnist_cnn.reading.samples import LABELS, SAMPLES

        reading = Recognizer.load(threads=1).read(SAMPLES / _SAMPLE)
    except (MnistCnnError, ImportError, OSError) as error:
        return [f"The included weights cannot be read: {first_line(error)}. {remedy}"]
    if reading.digit != LABELS[_SAMPLE]:
        return [f"The included weights read the sample {_SAMPLE} as {reading.label}. {remedy}"]
    return []


def _misfits(extras: list[Extra]) -> list[str]:
    """Describe packages whose version does not fit, and missing ones that every installation needs."""
    needed = [*dependencies(), *(each for extra in extras for each in extra.dependencies if not each.is_missing)]
    return [_describe(each) for each in dict.fromkeys(needed) if not each.is_met]


def _describe(misfit: Dependency) -> str:
    wanted = f"{misfit.name}{misfit.required}"
    found = "it is missing" if misfit.is_missing else f"version {misfit.installed} is installed"
    return f"This package needs {wanted}, but {found}. Install it with: {package_command(wanted)}"


def _onednn() -> str:
    """Return whether TensorFlow will use oneDNN, which this package switches on for x86 processors."""
    setting = onednn_setting()
    if setting is None:
        return "on" if is_x86() else "TensorFlow's default"
    return "on" if setting else "off"
