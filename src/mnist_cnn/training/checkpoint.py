"""What resuming needs: everything that training changes, after each finished epoch, in one file.

One file, renamed into place, is either the state after epoch n or that after epoch n + 1, whenever the process dies.
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
    """Where training stands after its last finished epoch."""

    history: list[Row] = field(default_factory=list)  # one row per finished epoch
    best_epoch: int = 0  # 1-based; 0 before the first
    best_weights: Weights = field(default_factory=list)  # as `Model.get_weights` gives them
    last_weights: Weights = field(default_factory=list)  # the last epoch's, averaged where averaging is on
    variables: Weights = field(default_factory=list)  # the model's, dropout's generators included, then the optimizer's
    is_complete: bool = False  # the last epoch, or early stopping, has been reached
    patience: dict[str, dict[str, float]] = field(default_factory=dict)  # counters of the Keras callbacks

    @property
    def epochs_done(self) -> int:
        """Finished epochs, hence the 0-based number of the next one."""
        return len(self.history)

    def save(self, path: Path) -> None:
        """Write the state whole or not at all."""
        words: dict[str, Any] = {
            "history": self.history,
            "best_epoch": self.best_epoch,
            "is_complete": self.is_complete,
        }
        words["patience"] = self.patience
        arrays: dict[str, Any] = {f"variable_{i}": value for i, value in enumerate(self.variables)}
        arrays |= {f"best_{i}": value for i, value in enumerate(self.best_weights)}
        arrays |= {f"last_{i}": value for i, value in enumerate(self.last_weights)}
        with write_whole(path) as partial:
            np.savez(partial, words=np.frombuffer(json.dumps(words).encode(), np.uint8), **arrays)

    @classmethod
    def load(cls, path: Path) -> TrainingState:
        """Read the state back; no file is the state before the first epoch.

        Raises:
            InputError: The file is damaged.
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
            raise RunFolderError(f"{path} is damaged ({error}); the run cannot be resumed. Train a new one.") from error


def capture_variables(model: keras.Model) -> Weights:
    """Copy all variables of a compiled model and its optimizer."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in _variables(model)]


def restore_variables(model: keras.Model, values: Sequence[NDArray[Any]]) -> None:
    """Put captured values back.

    Raises:
        InputError: They belong to another network.
    """
    variables = _variables(model)
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise RunFolderError(
            "the saved state belongs to another network or optimizer; the run cannot be resumed with it."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _numbered(file: Any, prefix: str) -> Weights:
    count = sum(name.startswith(f"{prefix}_") for name in file.files)
    return [file[f"{prefix}_{index}"] for index in range(count)]
