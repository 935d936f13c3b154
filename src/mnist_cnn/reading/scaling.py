"""The range of grey levels that a network needs: declared by its file, given by the user, or found on known digits.

For Keras and ONNX files alike:

1. A file that declares it (our metadata, a `Rescaling` as its first layer, an integer input) is believed.
2. Otherwise the user's `scale` decides: grey levels 0 to 255 are multiplied by it.
3. Otherwise the network reads digits with known labels in each of the usual ranges, and the best one is chosen.
4. If it is not clearly better than chance in any of them, 0 to 1 is assumed, which is the most common.

Everything that neither the file nor the user said is reported (`ScalingChoice.remark`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mnist_cnn.errors import SettingError
from mnist_cnn.reading.conventions import IMAGE_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHITE = 255
# 200 of scikit-learn's bundled digits (Alpaydin and Kaynak 1998, CC BY 4.0), from their training part: one row per
# class. Test images would make the accuracy look better than it is.
_KNOWN_DIGITS = Path(__file__).with_name("known_digits.png")
_CLEARLY = 0.3  # of the way from chance to perfect accuracy, which shows that a network reads
_SIGNIFICANT = 2.5  # standard deviations


@dataclass(frozen=True)
class Scaling:
    """Grey levels 0 to 255, multiplied by `factor`, plus `offset`."""

    factor: float = 1.0
    offset: float = 0.0

    def __str__(self) -> str:
        """Return the resulting range, such as "0 … 1"."""
        return f"{self.offset:.4g} … {self.offset + _WHITE * self.factor:.4g}"

    def apply(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """Scale uint8 images of any shape to float32; 0 to 255 returns them unchanged."""
        if self.offset:
            return images * np.float32(self.factor) + np.float32(self.offset)
        return images if self.factor == 1 else images * np.float32(self.factor)


GREY_LEVELS = Scaling()
UNIT = Scaling(1 / _WHITE)
CANDIDATES = (  # the most common first
    UNIT,
    GREY_LEVELS,
    Scaling(2 / _WHITE, -1.0),  # Normalize(0.5, 0.5) in PyTorch's tutorials
    Scaling(1 / (_WHITE * 0.3081), -0.1307 / 0.3081),  # Normalize(0.1307, 0.3081): MNIST's mean and deviation
    Scaling(-1 / _WHITE, 1.0),  # dark ink on light paper
    Scaling(-1.0, float(_WHITE)),
)


@dataclass(frozen=True, eq=False)
class KnownDigits:
    """Digits with known labels, used to find the input range that a network needs."""

    images: NDArray[np.uint8]  # [n, 28, 28]
    labels: NDArray[np.int64]  # [n]
    source: str  # display name, such as "bundled digits"

    def of_classes(self, count: int) -> KnownDigits:
        """Return those that a network with `count` classes can know."""
        known = self.labels < count
        return KnownDigits(self.images[known], self.labels[known], self.source)


@dataclass(frozen=True)
class ScalingChoice:
    """The range of the grey levels that a network gets, and how it was determined."""

    scaling: Scaling
    origin: Literal["file", "user", "tried", "assumed"]  #: who or what determined it
    accuracies: tuple[float, ...] = ()  #: in each of the usual ranges, 0 to 1; empty if they were not tried
    digits: str = ""  #: on which they were tried, such as "200 bundled digits"

    @property
    def remark(self) -> str:
        """What the user should know about the choice; empty if the file declares it."""
        match self.origin:
            case "file":
                return ""
            case "user":
                return f"grey levels are scaled to {self.scaling}, because the scale is {self.scaling.factor:.6g}."
            case "tried":
                return (
                    f"the model does not declare its range of grey levels, so they are scaled to {self.scaling}, in "
                    f"which it classifies {self._shares()}. If this is wrong, give another scale."
                )
            case "assumed":
                return f"{self._question()} 0 … 1 is assumed."

    def as_dict(self) -> dict[str, Any]:
        """Return the choice as JSON-able values."""
        tried = {str(scaling): share for scaling, share in zip(CANDIDATES, self.accuracies, strict=False)}
        return {
            "range": str(self.scaling),
            "factor": self.scaling.factor,
            "offset": self.scaling.offset,
            "origin": self.origin,
            "tried_on": self.digits,
            "accuracies": tried,
        }

    def check(self, name: str) -> None:
        """Refuse a range that is only assumed, before anything is measured with it.

        Raises:
            SettingError: It is.
        """
        if self.origin == "assumed":
            raise SettingError(
                f"{name}: {self._question()} Give the factor for grey levels 0 … 255: --scale 1 for 0 … 255, "
                f"--scale {UNIT.factor:.6f} for 0 … 1."
            )

    def _shares(self) -> str:
        shares = dict(zip(CANDIDATES, self.accuracies, strict=True))
        others = [f"{100 * shares[each]:.1f} % in {each}" for each in CANDIDATES if each != self.scaling]
        return f"{100 * shares[self.scaling]:.1f} % of {self.digits} correctly ({', '.join(others)})"

    def _question(self) -> str:
        return (
            f"the model does not declare its range of grey levels, and it classifies {self.digits} in none of the "
            f"usual ranges (at best {100 * max(self.accuracies, default=0):.1f} % are correct)."
        )


DECLARED = ScalingChoice(GREY_LEVELS, "file")  # of a network that declares that it takes raw grey levels


@dataclass(frozen=True)
class Adoption:
    """How a model was adapted so that it takes grey levels 0 to 255 and returns probabilities."""

    choice: ScalingChoice = DECLARED
    change: str = ""  #: to its output, for the user; empty if nothing was changed

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know about both; empty for a model of this package."""
        return tuple(remark for remark in (self.choice.remark, self.change) if remark)


def choose(ask: Callable[[Scaling], NDArray[np.floating[Any]]], known: KnownDigits) -> ScalingChoice:
    """Let a network read known digits in each of the usual ranges.

    Accuracy decides if it differs significantly (McNemar's test on the same digits); otherwise the more common range
    is chosen. Log loss would mislead: a network that was trained on 0 to 1 often reads 0 to 255 almost as well, with
    higher confidence, and one that classifies all known digits correctly has the lower log loss in the wrong range.

    Args:
        ask: Returns the network's scores [n, k] for these digits in a given range.
        known: At least one digit.
    """
    scores = [np.nan_to_num(ask(scaling)) for scaling in CANDIDATES]  # [n, k] each
    is_right = {each: rows.argmax(axis=1) == known.labels for each, rows in zip(CANDIDATES, scores, strict=True)}
    accuracies = {each: float(right.mean()) for each, right in is_right.items()}

    def is_better(one: Scaling, other: Scaling) -> bool:
        only_one, only_other = (is_right[one] & ~is_right[other]).sum(), (~is_right[one] & is_right[other]).sum()
        return bool((only_one - only_other) / np.sqrt(max(only_one + only_other, 1)) > _SIGNIFICANT)

    best = GREY_LEVELS if is_better(GREY_LEVELS, UNIT) else UNIT
    rarer = max(CANDIDATES[2:], key=accuracies.__getitem__)
    best = rarer if is_better(rarer, best) else best
    chance = 1 / scores[0].shape[1]
    digits = f"{len(known.labels)} {known.source}"
    if accuracies[best] < chance + _CLEARLY * (1 - chance):
        return ScalingChoice(UNIT, "assumed", tuple(accuracies.values()), digits)
    return ScalingChoice(best, "tried", tuple(accuracies.values()), digits)


@functools.cache
def bundled_digits(classes: int = 10) -> KnownDigits:
    """Return the included digits, 20 of each class that a network of `classes` can know."""
    from PIL import Image  # not needed for files that declare their range

    with Image.open(_KNOWN_DIGITS, formats=["PNG"]) as sheet:
        pixels = np.asarray(sheet)  # [10 · 28, 20 · 28]
    rows, columns = pixels.shape[0] // IMAGE_SIZE, pixels.shape[1] // IMAGE_SIZE
    images = pixels.reshape(rows, IMAGE_SIZE, columns, IMAGE_SIZE).swapaxes(1, 2).reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
    return KnownDigits(images, np.repeat(np.arange(rows), columns), "bundled digits").of_classes(classes)
