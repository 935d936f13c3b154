"""What a model file for numbers says about itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mnist_cnn.reading.metadata import ModelMetadata


@dataclass(frozen=True)
class NumberMetadata(ModelMetadata):
    """The description of one network for numbers; its classes are the ten digits."""

    scaling: str = "grey levels 0 to 1, as line_preparation gives them"
    preprocessing: str = ""  #: the version of `line_preparation` with which the thresholds were chosen
    calibration_bias: float = 0.0  #: of the log-odds of a number, in nats
    calibration_slope: float = 1.0  #: of the log-odds of a number
    fit_threshold: float = 0.0  #: minimum probability that a number fits the constraint, 0 to 1

    def confidence(self, log_probability: float) -> float:
        """Convert the probability of a number to a calibrated confidence (Platt 1999, on the log-odds).

        Args:
            log_probability: Natural logarithm, at most 0, of the probability at the network's temperature.

        Returns:
            0 to 1. A higher probability never has a lower confidence.
        """
        if log_probability >= 0:
            return 1.0
        log_odds = log_probability - math.log(-math.expm1(log_probability))
        exponent = self.calibration_bias + self.calibration_slope * log_odds
        return 1 / (1 + math.exp(-exponent)) if exponent > -500 else 0.0

    def invalid_fields(self) -> list[str]:
        """Return the names of the fields whose values have the wrong type or are out of range."""
        ranges = {
            "calibration_bias": (-100.0, 100.0),
            "calibration_slope": (1e-3, 100.0),
            "fit_threshold": (0.0, 1.0),
        }
        return [
            *super().invalid_fields(),
            *(key for key, (low, high) in ranges.items() if not _is_between(getattr(self, key), low, high)),
        ]


def _is_between(value: object, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
