"""What one export format consists of; each module of this package describes its formats with this class."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import MissingExtraError
from mnist_cnn.reading.metadata import ModelMetadata

if TYPE_CHECKING:
    from mnist_cnn.export.original import Original

# An exported model in its runtime: float32 [n, 28, 28, 1], grey levels 0 to 255 → probabilities, float32 [n, k].
Reader = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def as_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert images, uint8 [n, 28, 28], to the input of an exported model: float32 [n, 28, 28, 1], 0 to 255."""
    return images[..., np.newaxis].astype(np.float32)


# Python modules and the extras that install them.
KERAS, TENSORFLOW = ("keras", "train"), ("tensorflow", "train")
ONNX, OPENVINO, LITERT = ("onnx", "export"), ("openvino", "export"), ("ai_edge_litert", "export")


@dataclass(frozen=True)
class Format:
    """One export format. Its functions import heavy packages only when they are called."""

    name: str
    file: str  # name in the export folder; a folder if `is_folder`
    runtime: str  # display name of what reads it
    needs: tuple[tuple[str, str], ...]  # required modules and the extras that install them
    write: Callable[[Original, Path], None]
    stamp: Callable[[Path, ModelMetadata], None]  # writes the metadata into the file
    read_strings: Callable[[Path], Mapping[str, str]]  # reads them back without loading the model; empty if none
    open_reader: Callable[[Path], Reader]
    is_folder: bool = False
    is_int8: bool = False
    describe: Callable[[Path], str] | None = None  # what a finished export needs to run, in a sentence

    def missing(self) -> MissingExtraError | None:
        """Return the error that gives the install command, or None if everything is installed."""
        missing = [need for need in self.needs if importlib.util.find_spec(need[0]) is None]
        return MissingExtraError(missing[0][0], *dict.fromkeys(extra for _, extra in missing)) if missing else None

    def read_metadata(self, path: Path) -> ModelMetadata | None:
        """Read what an exported model says about itself, without running any of it; None if it says nothing.

        Raises:
            ModelFileError: The metadata are damaged.
        """
        return ModelMetadata.from_strings(self.read_strings(path), str(path))
