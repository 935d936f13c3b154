"""What a model file says about itself: everything that reading needs apart from the weights.

Every format contains the same strings: as metadata properties in an ONNX file, as JSON in the others.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mnist_cnn.errors import ModelFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEMPERATURES = (0.1, 10.0)  # valid range; a network that needs another temperature is broken, not miscalibrated
_LONGEST_NAME = 200  # characters of a class name
KEY_PREFIX = "mnist_cnn."  # prefix of every key, so that other tools can add metadata too


@dataclass(frozen=True)
class ModelMetadata:
    """The description of one exported model."""

    class_names: tuple[str, ...]
    temperature: float = 1.0  #: of calibration, confidence = softmax(log(probabilities) / temperature)
    rejection_threshold: float = 0.5  #: minimum calibrated confidence of an accepted digit
    preprocessing: str = ""  #: the version of `ink` with which the threshold was chosen
    scaling: str = "grey levels 0-255, ink light on black 0; the model scales them itself"
    dataset: str = ""  #: the training data
    accuracy: float | None = None  #: on that data set's test images, 0 to 1; None if it was not measured
    architecture: str = ""
    package_version: str = ""  #: of the mnist-cnn that wrote the file

    def calibrate(self, scores: NDArray[np.floating[Any]], *, logits: bool = False) -> NDArray[np.float32]:
        """Convert the network's scores to calibrated probabilities (temperature scaling: Guo et al. 2017).

        Args:
            scores: [n, k], probabilities or logits.
            logits: Whether they are logits.

        Returns:
            float32 [n, k], softmax(logits / temperature); the order within a row does not change.
        """
        if logits:
            powers = np.exp((scores - scores.max(axis=1, keepdims=True)) / self.temperature)
        elif self.temperature == 1:
            return scores.astype(np.float32, copy=False)
        else:  # logits are the logarithms of probabilities, up to a constant
            powers = scores ** (1 / self.temperature)
        powers /= powers.sum(axis=1, keepdims=True)
        return np.asarray(powers, np.float32)

    def to_strings(self) -> dict[str, str]:
        """Return one JSON value per field, with keys that begin with `mnist_cnn.`."""
        return {KEY_PREFIX + key: json.dumps(value) for key, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_strings(cls, strings: Mapping[str, str], origin: str) -> Self | None:
        """Read what `to_strings` wrote; None if there is nothing of ours. Unknown keys are ignored.

        Args:
            strings: All metadata of a file.
            origin: The name of the file for messages.

        Raises:
            ModelFileError: A value is damaged or out of range.
        """
        values = {key.removeprefix(KEY_PREFIX): text for key, text in strings.items() if key.startswith(KEY_PREFIX)}
        if not values:
            return None
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            metadata = cls(**{key: json.loads(text) for key, text in values.items() if key in known})
            metadata = dataclasses.replace(metadata, class_names=tuple(metadata.class_names))
        except (ValueError, TypeError, RecursionError) as error:
            raise ModelFileError(f"the metadata in {origin} are damaged ({error}). Export the model again.") from None
        for key in metadata.invalid_fields():
            value = str(getattr(metadata, key))[:_LONGEST_NAME]
            raise ModelFileError(f"the metadata in {origin} say {key} = {value}. Export the model again.")
        return metadata

    def invalid_fields(self) -> list[str]:
        """Return the names of the fields whose values have the wrong type or are out of range."""
        numbers = {
            "temperature": (self.temperature, *TEMPERATURES),
            "rejection_threshold": (self.rejection_threshold, 0, 1),
            **({} if self.accuracy is None else {"accuracy": (self.accuracy, 0, 1)}),
        }
        texts = ("preprocessing", "scaling", "dataset", "architecture", "package_version")
        are_names = all(isinstance(name, str) and len(name) <= _LONGEST_NAME for name in self.class_names)
        return [
            *([] if are_names else ["class_names"]),
            *(key for key, (value, low, high) in numbers.items() if not (_is_number(value) and low <= value <= high)),
            *(key for key in texts if not isinstance(getattr(self, key), str)),
        ]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
