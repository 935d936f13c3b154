"""What a model file says of itself: all that reading needs besides the weights.

The same strings lie in every format: as metadata properties of an ONNX file, as `metadata.json` in the others.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import ModelFileError

TEMPERATURES = (0.1, 10.0)  # of calibration; a network that needs one outside is not miscalibrated but broken
_LONGEST_NAME = 200  # characters of a class
KEY_PREFIX = "mnist_cnn."  # of every key, so that other tools' metadata can lie beside ours


@dataclass(frozen=True)
class ModelMetadata:
    """One exported model, described."""

    class_names: tuple[str, ...]
    temperature: float = 1.0  # of calibration: confidence = softmax(log(probabilities) / temperature)
    rejection_threshold: float = 0.5  # a digit is accepted where its calibrated confidence is at least this
    preprocessing: str = ""  # the version of `ink` that the threshold was chosen with
    scaling: str = "grey levels 0-255, ink light on black 0; the model scales them itself"
    dataset: str = ""  # what it was trained on
    accuracy: float | None = None  # share of that data set's test images; None: not measured
    architecture: str = ""
    package_version: str = ""  # of mnist-cnn, which wrote the file

    def calibrate(self, scores: NDArray[np.floating[Any]], *, logits: bool = False) -> NDArray[np.float32]:
        """Turn the network's scores into calibrated probabilities (temperature scaling: Guo et al. 2017).

        Args:
            scores: [n, k], each row a softmax, or what a softmax would be taken of.
            logits: Whether they are the latter.

        Returns:
            float32 [n, k], softmax(logits / temperature): the order within a row stays.
        """
        if logits:
            powers = np.exp((scores - scores.max(axis=1, keepdims=True)) / self.temperature)
        elif self.temperature == 1:
            return scores.astype(np.float32, copy=False)
        else:  # logits are the probabilities' logarithms, up to a constant
            powers = scores ** (1 / self.temperature)
        powers /= powers.sum(axis=1, keepdims=True)
        return np.asarray(powers, np.float32)

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
            ModelFileError: A value of ours is damaged or out of range.
        """
        values = {key.removeprefix(KEY_PREFIX): text for key, text in strings.items() if key.startswith(KEY_PREFIX)}
        if not values:
            return None
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            metadata = cls(**{key: json.loads(text) for key, text in values.items() if key in known})
            metadata = dataclasses.replace(metadata, class_names=tuple(metadata.class_names))
        except (ValueError, TypeError, RecursionError) as error:
            raise ModelFileError(f"{origin} carries damaged metadata ({error}). Export the model again.") from None
        for key, valid in metadata.validity():
            if not valid:
                value = str(getattr(metadata, key))[:_LONGEST_NAME]
                raise ModelFileError(f"{origin} carries metadata with {key} = {value}. Export the model again.")
        return metadata

    def validity(self) -> Iterator[tuple[str, bool]]:
        """Give every field's name and whether its value is of the right type and within its range."""
        low, high = TEMPERATURES
        yield "class_names", all(isinstance(name, str) and len(name) <= _LONGEST_NAME for name in self.class_names)
        yield "temperature", _is_number(self.temperature) and low <= self.temperature <= high
        yield "rejection_threshold", _is_number(self.rejection_threshold) and 0 <= self.rejection_threshold <= 1
        yield "accuracy", self.accuracy is None or (_is_number(self.accuracy) and 0 <= self.accuracy <= 1)
        for key in ("preprocessing", "scaling", "dataset", "architecture", "package_version"):
            yield key, isinstance(getattr(self, key), str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
