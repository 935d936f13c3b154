"""Everything that training changes, saved after each finished epoch in one file, from which a run resumes.

The file is renamed into place: whenever the process dies, it contains the state after epoch n or epoch n + 1.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import RunFolderError
from mnist_cnn.files import write_whole
from mnist_cnn.models.backend import keras
from mnist_cnn.runs import Row

Weights = list[NDArray[Any]]


@dataclass
class TrainingState:
    """The state of training after its last finished epoch."""

    history: list[Row] = field(default_factory=list)  # one row per finished epoch
    best_epoch: int = 0  # 1-based; 0 before the first
    best_weights: Weights = field(default_factory=list)  # as `Model.get_weights` returns them
    last_weights: Weights = field(default_factory=list)  # the last epoch's, averaged if averaging is on
    variables: Weights = field(default_factory=list)  # of the model, with dropout's generators, and optimizer
    is_complete: bool = False  # training reached its last epoch or stopped early
    patience: dict[str, dict[str, float]] = field(default_factory=dict)  # counters of the Keras callbacks

    @property
    def epochs_done(self) -> int:
        """Number of finished epochs, and 0-based number of the next one."""
        return len(self.history)

    def save(self, path: Path) -> None:
        """Write the state whole or not at all."""
        words = {name: getattr(self, name) for name in ("history", "best_epoch", "is_complete", "patience")}
        arrays: dict[str, Any] = {f"variable_{i}": value for i, value in enumerate(self.variables)}
        arrays |= {f"best_{i}": value for i, value in enumerate(self.best_weights)}
        arrays |= {f"last_{i}": value for i, value in enumerate(self.last_weights)}
        with write_whole(path) as partial:
            np.savez(partial, words=np.frombuffer(json.dumps(words).encode(), np.uint8), **arrays)

    @classmethod
    def load(cls, path: Path) -> TrainingState:
        """Read the state; without a file it is the state before the first epoch.

        Raises:
            RunFolderError: The file is damaged.
        """
        if not path.exists():
            return cls()
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                words = json.loads(bytes(file["words"]))
                return cls(
                    variables=_numbered(file, "variable"),
                    best_weights=_numbered(file, "best"),
                    last_weights=_numbered(file, "last"),
                    **words,
                )
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise RunFolderError(f"{path} is damaged ({error}); the run cannot be resumed. Train a new run.") from error


def capture_variables(model: keras.Model) -> Weights:
    """Copy all variables of a compiled model and its optimizer."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in _variables(model)]


def restore_variables(model: keras.Model, values: Sequence[NDArray[Any]]) -> None:
    """Restore captured values.

    Raises:
        RunFolderError: They belong to another network.
    """
    variables = _variables(model)
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise RunFolderError(
            "the saved state belongs to another network or optimizer; the run cannot be resumed. Train a new run."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _numbered(file: Any, prefix: str) -> Weights:
    count = sum(name.startswith(f"{prefix}_") for name in file.files)
    return [file[f"{prefix}_{index}"] for index in range(count)]
