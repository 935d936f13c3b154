"""All settings of a training on composed lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class LinePlan:
    """Settings that together with the traced digits repeat a training.

    An epoch is what one more portion of composed lines is worth: `portion * replay` lines. Lines are drawn from a stock
    of the latest portions, so each is used about `replay` times, spread over `stock` epochs.
    """

    steps: int  #: batches in total, rounded up to whole epochs
    batch_size: int = 128  #: lines
    learning_rate: float = 2e-3  #: peak
    warmup: int = 200  #: steps in which the learning rate rises
    decay: float = 0.35  #: share of all steps, at the end, in which it falls
    weight_decay: float = 1e-2
    portion: int = 1024  #: lines composed with one seed
    replay: int = 4  #: how often a line is used on average; composing takes as long as training on some machines
    stock: int = 24  #: portions
    opening: int = 3  #: portions in the stock in the first epoch
    box_weight: float = 0.5  #: of the loss of boxes, relative to that of the text
    validated: int = 2048  #: composed lines on which the share read whole is measured
    validate_every: int = 8  #: epochs
    widths: tuple[int, ...] = (32, 64, 128, 224, 288)  #: see `build_line_network`
    dropout: float = 0.1
    seed: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch."""
        return max(1, self.portion * self.replay // self.batch_size)

    @property
    def epochs(self) -> int:
        """Epochs in total."""
        return -(-self.steps // self.steps_per_epoch)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the plan that `as_dict` described."""
        return cls(**{**values, "widths": tuple(values["widths"])})

    def as_dict(self) -> dict[str, Any]:
        """Return all settings as JSON has them."""
        return {**dataclasses.asdict(self), "widths": list(self.widths)}
