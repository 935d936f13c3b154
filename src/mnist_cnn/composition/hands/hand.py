"""A writer: one form for each digit, and habits that deform all of them alike."""

from __future__ import annotations

import bisect
import functools
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn.composition.hands.forms import Form, forms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnist_cnn.composition.hands.forms import Stroke

_WOBBLE = 4  # points of a stroke per deviation that is drawn
_WAVES = 3  # the warp's spatial frequencies: smooth across a digit
_CARELESS = 0.25  # share of writers who deform their digits strongly
# In heights of a digit:
_LONGEST_OVERSHOOT = 0.08
_WIDEST = 1.5  # width of any digit
_DESCENDING, _ASCENDING = (4, 7, 9), (1, 4, 6)


@dataclass(frozen=True, eq=False)
class Letterform:
    """A form as one writer knows it: `Form` with habits applied.

    Attributes:
        form: What it is made from; its `cuts` are valid here.
        points: float32 [k, 2], the writer's control points, in heights of a digit.
        matrix: float32 [n, k], from control points to polylines, with the writer's roundness.
    """

    form: Form
    points: NDArray[np.float32]
    matrix: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Hand:
    """One writer's style. It never changes; what varies from digit to digit comes from the generator given to `write`.

    Attributes:
        habits: What the writer does to every form.
        seed: Of the writer's own choices, such as the form of each digit. They are made when a digit is first needed,
            because most numbers have few different digits.
        unrest: Standard deviation of the control points each time, in heights of a digit.
        warp: Standard deviation of the smooth deformation each time, in heights of a digit.
        tremor: Standard deviation of the wobble along a stroke, in heights of a digit.
    """

    habits: _Habits
    seed: int
    unrest: float
    warp: float
    tremor: float
    _known: dict[int, Letterform] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def random(cls, random: np.random.Generator) -> Hand:
        """Draw a writer."""
        care = 1.6 if random.random() < _CARELESS else random.uniform(0.4, 1.1)
        return cls(
            _Habits.random(random, care),
            int(random.integers(2**32)),
            unrest=care * random.uniform(0.006, 0.016),
            warp=care * random.uniform(0.008, 0.02),
            tremor=care * min(random.exponential(0.003), 0.006),
        )

    def letterform(self, digit: int) -> Letterform:
        """Return how the writer makes a digit, 0 to 9."""
        known = self._known.get(digit)
        if known is None:
            random = np.random.default_rng([self.seed, digit])
            known = self._known[digit] = self.habits.adopt(_choose(digit, random), random)
        return known

    def write(self, digit: int, random: np.random.Generator) -> list[Stroke]:
        """Write a digit, each time a little differently.

        Args:
            digit: 0 to 9.
            random: Source of the variation.

        Returns:
            The strokes in writing order: float32 [n, 2] each, see `Stroke`. The leftmost point of all lies at x = 0.
        """
        letter = self.letterform(digit)
        points = letter.points + random.standard_normal(letter.points.shape, np.float32) * self.unrest
        points = _warped(points, self.warp, random)
        line = letter.matrix @ points.astype(np.float32)  # (n, 2)
        line += _wobble(len(line), self.tremor, random)
        line[:, 0] -= line[:, 0].min()
        return np.split(line, letter.form.cuts)


@dataclass(frozen=True)
class _Habits:
    """What a writer does to every form.

    Attributes:
        care: 1 for an average writer; greater is more careless.
        width: Factor of the widths of all digits.
        roundness: 0 for sharp corners, 1 for round ones.
        overshoot: How much strokes extend beyond their ends, as a share of their first and last span.
        waist: How far the middle of a digit lies below the usual place, in heights of a digit.
        zero_width: Factor of the width of a zero.
        descent: How far 4, 7 and 9 reach below the baseline, in heights of a digit.
        ascent: How far 1, 4 and 6 reach above the others, in heights of a digit.
    """

    care: float
    width: float
    roundness: float
    overshoot: float
    waist: float
    zero_width: float
    descent: float
    ascent: float

    @classmethod
    def random(cls, random: np.random.Generator, care: float) -> _Habits:
        return cls(
            care=care,
            width=float(np.exp(random.normal(0.1, 0.22))),
            roundness=random.uniform(0, 1),
            overshoot=random.normal(0, 0.12) * care,
            waist=random.normal(0, 0.04) * care,
            zero_width=float(np.exp(random.normal(0.2, 0.18))),
            descent=random.uniform(0, 0.3) if random.random() < 0.4 else 0.0,
            ascent=random.uniform(0, 0.2) if random.random() < 0.4 else 0.0,
        )

    def adopt(self, form: Form, random: np.random.Generator) -> Letterform:
        """Make a form the writer's own."""
        points = form.points.copy()
        width = self._width(form.digit) * np.exp(random.normal(0, 0.12))
        points[:, 0] *= min(width, _WIDEST / max(np.ptp(points[:, 0]), 0.1))
        self._extend(points, form)
        points[:, 1] += self.waist * np.sin(np.pi * points[:, 1])
        points += random.normal(0, 0.01 * self.care, points.shape)
        points = _warped(points, 0.035 * self.care, random)
        self._resize(points, form.digit, random)
        matrix = (1 - self.roundness) * form.sharp + self.roundness * form.soft
        return Letterform(form, points.astype(np.float32), matrix.astype(np.float32))

    def _width(self, digit: int) -> float:
        if digit == 0:
            return self.width * self.zero_width
        return self.width**0.5 if digit == 1 else self.width  # a 1 with its upstroke laid flat would be a 7

    def _extend(self, points: NDArray[np.float64], form: Form) -> None:
        spans = points[form.ends] - points[form.beside]
        points[form.ends] += np.clip(self.overshoot * spans, -_LONGEST_OVERSHOOT, _LONGEST_OVERSHOOT)

    def _resize(self, points: NDArray[np.float64], digit: int, random: np.random.Generator) -> None:
        """Change heights; the baseline is y = 1."""
        points[:, 1] = 1 + (points[:, 1] - 1) * np.exp(random.normal(0, 0.05))
        if digit in _DESCENDING:
            points[:, 1] *= 1 + self.descent
        if digit in _ASCENDING:
            points[:, 1] -= self.ascent * (1 - points[:, 1])


def _choose(digit: int, random: np.random.Generator) -> Form:
    bounds = _bounds(digit)
    return forms()[digit][bisect.bisect_right(bounds, random.random() * bounds[-1])]


@functools.cache
def _bounds(digit: int) -> list[float]:
    """Return the running sums of the weights of a digit's forms."""
    return list(itertools.accumulate(form.weight for form in forms()[digit]))


def _warped(
    points: NDArray[np.float64] | NDArray[np.float32], strength: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Move points by a few plane waves: neighbours move together, so loops stay closed and crossings stay."""
    directions = random.normal(0, 2.5, (2, _WAVES))  # radians in a digit's height
    phases = random.uniform(0, 2 * np.pi, _WAVES)
    moves = random.normal(0, strength * np.sqrt(2 / _WAVES), (_WAVES, 2))
    return np.asarray(points + np.sin(points @ directions + phases) @ moves)


def _wobble(count: int, strength: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Draw a trembling pen's deviations: float32 [count, 2], smooth over about four points."""
    coarse = random.standard_normal((count // _WOBBLE + 2, 2)) * strength
    before, share = _between(count)
    return np.asarray(coarse[before] * (1 - share) + coarse[before + 1] * share, np.float32)


@functools.cache
def _between(count: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Spread `count` points evenly over the coarse ones: the one before each, [count], and the share of the next."""
    last = count // _WOBBLE + 1
    place = np.linspace(0, last, count)
    before = np.minimum(place.astype(np.intp), last - 1)
    return before, (place - before)[:, np.newaxis]
