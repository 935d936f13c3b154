"""What range a network wants grey levels in: as its file says, as the user says, or as reading known digits shows.

One rule for Keras and ONNX files, in this order:

1. A file that says it itself (our metadata, a `Rescaling` as its first layer, an integer input) is believed.
2. Otherwise the user's `scale` holds: grey levels 0 … 255 are multiplied by it.
3. Otherwise the network reads digits with known labels in each of the usual ranges, and the best one is chosen.
4. Where none of them is read clearly better than by guessing, 0 … 1 is assumed, which most people train on.

Whatever was not said by the file or the user is reported (`ScalingChoice.remark`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mnist_cnn.errors import SettingError
from mnist_cnn.reading import IMAGE_SIZE as _SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHITE = 255
# 200 of scikit-learn's bundled digits (Alpaydin and Kaynak 1998, CC BY 4.0), of the part that is trained on: one row
# per class. Never of a test set, on which a choice would make the accuracy look better than it is.
_KNOWN_DIGITS = Path(__file__).with_name("known_digits.png")
_CLEARLY = 0.3  # of the way from guessing to no error, from which an accuracy shows that a network reads
_SIGNIFICANT = 2.5  # standard deviations


@dataclass(frozen=True)
class Scaling:
    """Grey levels 0 … 255, multiplied by `factor`, plus `offset`."""

    factor: float = 1.0
    offset: float = 0.0

    def __str__(self) -> str:
        """Give the range that comes out, such as "0 … 1"."""
        return f"{self.offset:.4g} … {self.offset + _WHITE * self.factor:.4g}"

    def apply(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """Give uint8 images of any shape in the range, as float32; unchanged where that is 0 … 255."""
        if self.offset:
            return images * np.float32(self.factor) + np.float32(self.offset)
        return images if self.factor == 1 else images * np.float32(self.factor)


GREY_LEVELS = Scaling()
UNIT = Scaling(1 / _WHITE)
CANDIDATES = (  # the most usual first
    UNIT,
    GREY_LEVELS,
    Scaling(2 / _WHITE, -1.0),  # Normalize(0.5, 0.5) in PyTorch's tutorials
    Scaling(1 / (_WHITE * 0.3081), -0.1307 / 0.3081),  # Normalize(0.1307, 0.3081): MNIST's mean and deviation
    Scaling(-1 / _WHITE, 1.0),  # ink dark on light paper, as pictures of paper are
    Scaling(-1.0, float(_WHITE)),
)


@dataclass(frozen=True, eq=False)
class KnownDigits:
    """Digits with known labels, on which a network shows what range it wants."""

    images: NDArray[np.uint8]  # [n, 28, 28]
    labels: NDArray[np.int64]  # [n]
    source: str  # for people, such as "bundled digits"

    def of_classes(self, count: int) -> KnownDigits:
        """Give those that a network with `count` classes can know."""
        known = self.labels < count
        return KnownDigits(self.images[known], self.labels[known], self.source)


@dataclass(frozen=True)
class ScalingChoice:
    """The range that a network gets its grey levels in, and how that is known."""

    scaling: Scaling
    origin: Literal["file", "user", "tried", "assumed"]
    accuracies: tuple[float, ...] = ()  # at each of CANDIDATES, where they were tried; 0 … 1
    digits: str = ""  # on which they were tried, such as "200 bundled digits"

    @property
    def remark(self) -> str:
        """What people must know of the choice; empty where the file itself makes it."""
        match self.origin:
            case "file":
                return ""
            case "user":
                return f"grey levels are brought to {self.scaling}, as the scale {self.scaling.factor:.6g} says."
            case "tried":
                return (
                    f"the model does not say how it wants grey levels, so they are brought to {self.scaling}: it "
                    f"reads {self._shares()}. If this is wrong, give another scale."
                )
            case "assumed":
                return f"{self._question()} 0 … 1 is assumed."

    def as_dict(self) -> dict[str, Any]:
        """Give the choice ready for JSON."""
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
        """Refuse a range that is only assumed, before something is measured with it.

        Raises:
            SettingError: It is.
        """
        if self.origin == "assumed":
            raise SettingError(
                f"{name}: {self._question()} Say what grey levels 0 … 255 must be multiplied by: --scale 1 for 0 … "
                f"255, --scale {UNIT.factor:.6f} for 0 … 1."
            )

    def _shares(self) -> str:
        shares = dict(zip(CANDIDATES, self.accuracies, strict=True))
        others = [f"{100 * shares[each]:.1f} % in {each}" for each in CANDIDATES if each != self.scaling]
        return f"{100 * shares[self.scaling]:.1f} % of {self.digits} right ({', '.join(others)})"

    def _question(self) -> str:
        return (
            f"the model does not say how it wants grey levels, and it reads {self.digits} in none of the usual ranges "
            f"(at best {100 * max(self.accuracies, default=0):.1f} % are right)."
        )


@dataclass(frozen=True)
class Adoption:
    """What was decided so that a model takes grey levels 0 … 255 and gives probabilities."""

    choice: ScalingChoice = ScalingChoice(GREY_LEVELS, "file")
    change: str = ""  # to its output, for people; empty where nothing was changed

    @property
    def remarks(self) -> tuple[str, ...]:
        """What people must know of it; empty for a model of this package."""
        return tuple(remark for remark in (self.choice.remark, self.change) if remark)


def declared() -> ScalingChoice:
    """Give the choice for a network that takes raw grey levels and says so."""
    return ScalingChoice(GREY_LEVELS, "file")


def given(scale: float) -> ScalingChoice:
    """Give the user's choice."""
    return ScalingChoice(Scaling(scale), "user")


def choose(ask: Callable[[Scaling, NDArray[np.uint8]], NDArray[np.floating[Any]]], known: KnownDigits) -> ScalingChoice:
    """Let a network read known digits in each of the usual ranges.

    The accuracy decides, where it differs significantly (McNemar's test on the same digits); otherwise the range that
    is more usual. The log loss would mislead: a network that was trained on 0 … 1 often reads 0 … 255 about as well
    and is only surer, and one that reads all known digits gets the better log loss in the wrong range.

    Args:
        ask: Gives the scores [n, k] for grey levels, uint8 [n, 28, 28], brought to one range; the highest score of a
            row is the class that is read.
        known: At least one digit.
    """
    tried = [_Trial.of(scaling, ask(scaling, known.images), known.labels) for scaling in CANDIDATES]
    unit, grey, *rare = tried
    usual = grey if grey.advantage(unit) > _SIGNIFICANT else unit
    rarer = max(rare, key=lambda trial: trial.accuracy)
    best = rarer if rarer.advantage(usual) > _SIGNIFICANT else usual
    accuracies = tuple(trial.accuracy for trial in tried)
    digits = f"{len(known.labels)} {known.source}"
    if best.accuracy < best.guessing + _CLEARLY * (1 - best.guessing):
        return ScalingChoice(UNIT, "assumed", accuracies, digits)
    return ScalingChoice(best.scaling, "tried", accuracies, digits)


@functools.cache
def bundled_digits(classes: int = 10) -> KnownDigits:
    """Give the digits that come with this package, 20 of each class that a network with so many classes can know."""
    from PIL import Image  # not needed for files that say themselves what they want

    with Image.open(_KNOWN_DIGITS, formats=["PNG"]) as sheet:
        pixels = np.asarray(sheet)  # [10 · 28, 20 · 28]
    rows, columns = pixels.shape[0] // _SIZE, pixels.shape[1] // _SIZE
    images = pixels.reshape(rows, _SIZE, columns, _SIZE).swapaxes(1, 2).reshape(-1, _SIZE, _SIZE)
    return KnownDigits(images, np.repeat(np.arange(rows), columns), "bundled digits").of_classes(classes)


@dataclass(frozen=True, eq=False)
class _Trial:
    """How known digits are read in one range."""

    scaling: Scaling
    is_right: NDArray[np.bool_]  # [n]
    guessing: float  # accuracy of a guess

    @classmethod
    def of(cls, scaling: Scaling, answers: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> _Trial:
        scores = np.nan_to_num(answers)  # [n, k]
        return cls(scaling, scores.argmax(axis=1) == labels, 1 / scores.shape[1])

    @property
    def accuracy(self) -> float:
        return float(self.is_right.mean())

    def advantage(self, other: _Trial) -> float:
        """Give McNemar's statistic: about normal where both are read equally well, positive where this is better."""
        only_here, only_there = (self.is_right & ~other.is_right).sum(), (~self.is_right & other.is_right).sum()
        return float((only_here - only_there) / np.sqrt(max(only_here + only_there, 1)))
