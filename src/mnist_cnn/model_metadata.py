"""What a model file says of itself: all that reading needs besides the weights.

The same strings lie in every format: as metadata properties of an ONNX file, as `metadata.json` in the others.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import DataError

_SMALLEST = np.float32(1e-30)  # a softmax that underflowed to 0 stays a number when it is divided by
KEY_PREFIX = "mnist_cnn."  # of every key, so that other tools' metadata can lie beside ours


@dataclass(frozen=True)
class ModelMetadata:
    """One exported model, described."""

    class_names: tuple[str, ...]
    temperature: float = 1.0  # of calibration: confidence = softmax(log(probabilities) / temperature)
    rejection_threshold: float = 0.5  # a digit is accepted where its calibrated confidence is at least this
    preprocessing: str = "ink-1"  # the version of `ink` that the threshold was chosen with
    scaling: str = "grey levels 0-255, ink light on black 0; the model scales them itself"
    dataset: str = ""  # what it was trained on
    accuracy: float | None = None  # share of that data set's test images; None: not measured
    architecture: str = ""
    package_version: str = ""  # of mnist-cnn, which wrote the file

    def calibrate(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Turn the network's probabilities into calibrated ones (temperature scaling: Guo et al. 2017).

        Args:
            probabilities: [n, k], each row a softmax.

        Returns:
            float32 [n, k], softmax(log(probabilities) / temperature): the order within a row stays.
        """
        scaled = np.maximum(probabilities, _SMALLEST) ** np.float32(1 / self.temperature)
        scaled /= scaled.sum(axis=1, keepdims=True)
        return np.asarray(scaled, dtype=np.float32)

    def to_strings(self) -> dict[str, str]:
        """Give one JSON value per field, under keys that begin with `mnist_cnn.`."""
        return {KEY_PREFIX + key: json.dumps(value) for key, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_strings(cls, strings: Mapping[str, str], origin: str) -> ModelMetadata | None:
        """Read back what `to_strings` gave; None where there is nothing of ours. Unknown keys are passed over.

        Args:
            strings: All metadata of a file.
            origin: What to call the file in an error message.

        Raises:
            DataError: A value of ours is damaged or out of range.
        """
        values = {key.removeprefix(KEY_PREFIX): text for key, text in strings.items() if key.startswith(KEY_PREFIX)}
        if not values:
            return None
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            parsed: dict[str, Any] = {key: json.loads(text) for key, text in values.items() if key in known}
            parsed["class_names"] = tuple(str(name) for name in parsed["class_names"])
            metadata = cls(**parsed)
            valid = metadata.temperature > 0 and 0 <= metadata.rejection_threshold <= 1
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(f"{origin} carries damaged metadata ({error}). Export the model again.") from None
        if not valid:
            raise DataError(
                f"{origin} carries temperature {metadata.temperature} and rejection threshold "
                f"{metadata.rejection_threshold}; valid are above 0, and 0 to 1. Export the model again."
            )
        return metadata
