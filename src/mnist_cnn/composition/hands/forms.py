"""The forms of the digits: control points from `forms.txt`, and the matrices that make smooth strokes of them."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Stroke: TypeAlias = "NDArray[np.float32]"
"""A polyline: float32 [n, 2], n ≥ 2, points (x, y) in writing order; y down, in heights of a digit."""

_STEP = 0.04  # distance of neighbouring points of a stroke, in heights of a digit


@dataclass(frozen=True, eq=False)
class Form:
    """One way to write a digit.

    A stroke is a product of a matrix and its control points, so that a writer's deformations cost nothing but the
    product. All strokes of the form share one matrix.

    Attributes:
        digit: 0 to 9.
        name: Unique among the forms of the digit.
        weight: How often writers choose it, relative to the other forms of the digit.
        points: float64 [k, 2], control points of all strokes, in heights of a digit.
        ends: int64 [e], indices of the first and last control points of the strokes.
        beside: int64 [e], indices of their neighbours.
        cuts: Where `np.split` cuts the points of the polylines into strokes.
        sharp: float64 [n, k], from control points to polylines with corners.
        soft: float64 [n, k], to polylines whose corners are rounded; of the same parameters as `sharp`, so the two mix.
    """

    digit: int
    name: str
    weight: float
    points: NDArray[np.float64]
    ends: NDArray[np.int64]
    beside: NDArray[np.int64]
    cuts: tuple[int, ...]
    sharp: NDArray[np.float64]
    soft: NDArray[np.float64]


@functools.cache
def forms() -> tuple[tuple[Form, ...], ...]:
    """Return the forms of each digit, 0 to 9."""
    lines = files(__package__).joinpath("forms.txt").read_text(encoding="utf-8").splitlines()
    read = [_parse(line) for line in lines if line and not line.startswith("#")]
    return tuple(tuple(form for form in read if form.digit == digit) for digit in range(10))


def _parse(line: str) -> Form:
    head, _, body = line.partition(":")
    digit, name, weight = head.split()
    strokes = [stroke.split() for stroke in body.split("/")]
    points = [np.array([token.rstrip("*").split(",") for token in stroke], float) / 100 for stroke in strokes]
    corners = [[index for index, token in enumerate(stroke) if token.endswith("*")] for stroke in strokes]
    sharp = [_spline(each, corner) for each, corner in zip(points, corners, strict=True)]
    soft = [_spline(each, []) for each in points]
    first = np.cumsum([0, *map(len, points)])[:-1]
    last = first + [len(each) - 1 for each in points]
    return Form(
        digit=int(digit),
        name=name,
        weight=float(weight),
        points=np.concatenate(points),
        ends=np.concatenate([first, last]),
        beside=np.concatenate([first + 1, last - 1]),
        cuts=tuple(np.cumsum([len(matrix) for matrix in sharp[:-1]], dtype=int).tolist()),
        sharp=_block_diagonal(sharp),
        soft=_block_diagonal(soft),
    )


def _spline(points: NDArray[np.float64], corners: list[int]) -> NDArray[np.float64]:
    """Return the matrix float64 [n, k] of natural cubic splines through k control points, from corner to corner.

    The knots are centripetal (Lee 1989), which keeps curves through uneven points free of loops that nobody drew.
    """
    knots = np.concatenate([[0.0], np.cumsum(np.sqrt(np.hypot(*np.diff(points, axis=0).T)))])
    places = _places(points, knots)
    matrix = np.zeros((len(places), len(points)))
    ends = [0, *corners, len(points) - 1]
    for first, last in itertools.pairwise(ends):
        inside = (places >= knots[first]) & (places <= knots[last])
        matrix[inside, first : last + 1] = _natural(knots[first : last + 1], places[inside])
        matrix[inside, :first] = matrix[inside, last + 1 :] = 0
    return matrix


def _places(points: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Choose parameters about `_STEP` apart along the stroke, every knot among them: float64 [n]."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    pieces = [
        np.linspace(start, stop, max(2, round(length / _STEP)), endpoint=False)
        for start, stop, length in zip(knots, knots[1:], lengths, strict=False)
    ]
    return np.concatenate([*pieces, knots[-1:]])


def _natural(knots: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix float64 [n, k] of the natural cubic spline through values at k knots, taken at n places.

    The values' second derivatives m solve a tridiagonal system (de Boor 1978, chapter IV), which is linear in them.
    """
    gaps, count = np.diff(knots), len(knots)
    system, right = np.eye(count), np.zeros((count, count))
    for i in range(1, count - 1):
        system[i, i - 1 : i + 2] = gaps[i - 1], 2 * (gaps[i - 1] + gaps[i]), gaps[i]
        right[i, i - 1 : i + 2] = 6 / gaps[i - 1], -6 / gaps[i - 1] - 6 / gaps[i], 6 / gaps[i]
    bends = np.linalg.solve(system, right)  # (k, k): values to second derivatives
    left = np.clip(np.searchsorted(knots, places, side="right") - 1, 0, count - 2)
    gap, values = gaps[left][:, None], np.eye(count)
    before, after = (knots[left + 1] - places)[:, None], (places - knots[left])[:, None]
    return np.asarray(
        (before * values[left] + after * values[left + 1]) / gap
        + (before**3 / gap - before * gap) / 6 * bends[left]
        + (after**3 / gap - after * gap) / 6 * bends[left + 1]
    )


def _block_diagonal(blocks: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    whole = np.zeros(np.sum([block.shape for block in blocks], axis=0))
    row = column = 0
    for block in blocks:
        rows, columns = block.shape
        whole[row : row + rows, column : column + columns] = block
        row, column = row + rows, column + columns
    return whole
