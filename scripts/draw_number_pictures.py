"""Draw the pictures of `docs/explanation/whole-numbers.md`. A program composes all of them; no person wrote them.

    python scripts/draw_number_pictures.py [NAME …]

Without a name, it draws all. `stages` and `hard` depend on the included weights: draw them again when these change.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from mnist_cnn.composition import writing
from mnist_cnn.composition.composer import draw_text
from mnist_cnn.composition.hands import Hand, Stroke
from mnist_cnn.composition.hands.forms import Form, forms
from mnist_cnn.composition.paper import scenes
from mnist_cnn.composition.pen import Pen
from mnist_cnn.evaluation.figures.style import MUTED, PAPER, RIGHT, TEXT, WRONG, bare, frame, mix, save, styled
from mnist_cnn.reading.numbers import Box, NumberReader, NumberReading
from mnist_cnn.reading.numbers.ctc import log_probabilities
from mnist_cnn.reading.numbers.line_network import STRIDE
from mnist_cnn.reading.numbers.line_preparation import CROPS, HEIGHT, PreparedLine, look_closer, prepare

if TYPE_CHECKING:
    from mnist_cnn.composition.paper.scenes import Scene

PICTURES = Path(__file__).parents[1] / "docs" / "pictures" / "whole-numbers"
SYMBOLS = "–0123456789"  # the CTC blank and the digits
PROBABLE = LinearSegmentedColormap.from_list("p", [PAPER, mix(RIGHT, PAPER, 0.5), RIGHT, mix(RIGHT, "black", 0.6)])
STAGES_OF, STAGES_SEED = "2009", 12
ROOM = np.array([0.6, 0.45])  # digit heights, to the sides, and above and below the number in `stages`
WRITERS = 6
COLOURS, GREYS = 256, 64  # of a picture
IN_ROW = 5  # composed pictures of each scene
TRIES = 300  # numbers of each hard kind
PEN, FINE = Pen(0.09), 60  # of these, and the height of a digit, in pixels, before it is photographed

Pixels = NDArray[np.uint8]


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(DRAWN)} (default: all)")
    names = parser.parse_args().names or list(DRAWN)
    if unknown := sorted(set(names) - set(DRAWN)):
        parser.error(f"unknown picture: {', '.join(unknown)}. Valid names: {', '.join(DRAWN)}.")
    PICTURES.mkdir(exist_ok=True)
    for name in names:
        save(DRAWN[name](), path := PICTURES / f"{name}.png")
        Image.open(path).convert("RGB").quantize(
            GREYS if name == "composed" else COLOURS, dither=Image.Dither.NONE
        ).save(path, optimize=True)


@styled
def stages() -> Figure:
    """Draw how one picture is read: the picture, and of each look the line and the scores."""
    random = np.random.default_rng(STAGES_SEED)
    line = writing.compose_line(STAGES_OF, Hand.random(random).write, _roomy, random, clean=True)
    picture = scenes.cheque(line.coverage, line.digit_height, random)
    reader, first = NumberReader.load(threads=1), prepare(picture)
    reading = reader.read(picture)
    closer = look_closer(first, _extent(reading, first), CROPS[0])
    if closer is None:
        raise SystemExit("The number fills this picture, so there is nothing to enlarge. Choose another STAGES_SEED.")
    looks = {"First look": first, "Closer look": closer}
    figure = Figure(figsize=(8.4, 4.6))
    widths = [look.image.shape[1] for look in looks.values()]
    grid = figure.add_gridspec(3, 2, height_ratios=(1.35, 0.95, 1.9), width_ratios=widths)
    _show_reading(figure.add_subplot(grid[0, 0]), picture, reading)
    _write_verdict(figure.add_subplot(grid[0, 1]), reading)
    for column, (name, look) in enumerate(looks.items()):
        _show_line(figure.add_subplot(grid[1, column]), look, name)
        scores, _ = reader.network.run(look.image)
        _show_scores(figure.add_subplot(grid[2, column]), log_probabilities(scores, reader.metadata.temperature))
    return figure


def _roomy(low: writing.Point, high: writing.Point, random: np.random.Generator) -> tuple[writing.Point, writing.Point]:
    """Frame a number with so much room that a closer look is worthwhile."""
    return low - ROOM, high + ROOM


def _extent(reading: NumberReading, line: PreparedLine) -> tuple[float, float, float, float]:
    """Return the box around all digits, in pixels of the line."""
    edges = np.array([_edges(digit.box) for digit in reading.digits])
    (left, top), (right, bottom) = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
    return left / line.scale_x, top / line.scale_y, right / line.scale_x, bottom / line.scale_y


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.right, box.bottom


def _show_reading(axes: Axes, picture: Pixels, reading: NumberReading) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    for left, top, right, bottom in (_edges(digit.box) for digit in reading.digits):
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=RIGHT, linewidth=1.2))
    bare(axes)
    axes.set_anchor("W")
    axes.set_title("Picture")


def _write_verdict(axes: Axes, reading: NumberReading) -> None:
    bare(axes)
    axes.set_title("Number")
    axes.text(0, 0.62, reading.text, fontsize=34, color=TEXT, va="center")
    verdict = "accepted" if reading.accepted else f"rejected: {reading.reason}"
    colour = RIGHT if reading.accepted else WRONG
    axes.text(0, 0.12, f"{verdict}, confidence {reading.confidence:.1%}", color=colour, va="bottom")


def _show_line(axes: Axes, line: PreparedLine, title: str) -> None:
    width = line.image.shape[1]
    axes.imshow(line.image, cmap="gray", vmin=0, vmax=255, extent=(0, width, HEIGHT, 0), aspect="auto")
    axes.set(xlim=(0, STRIDE * -(-width // STRIDE)))  # as wide as the columns of scores below
    bare(axes)
    axes.set_title(title)


def _show_scores(axes: Axes, columns: NDArray[np.float64]) -> None:
    """Show the probability of each symbol in each column, and below each column the most probable symbol."""
    axes.imshow(np.exp(columns).T, cmap=PROBABLE, vmin=0, vmax=1, aspect="auto")
    best = columns.argmax(axis=1)
    axes.set_xticks(range(len(columns)), [SYMBOLS[symbol] for symbol in best], fontsize=7)
    axes.set_yticks(range(len(SYMBOLS)), list(SYMBOLS), fontsize=7)
    for label, symbol in zip(axes.get_xticklabels(), best, strict=True):
        label.set_color(MUTED if symbol == 0 else TEXT)
    axes.hlines(np.arange(0.5, len(SYMBOLS) - 1), -0.5, len(columns) - 0.5, color=PAPER, linewidth=0.6)


@styled
def letterforms() -> Figure:
    """Draw every form in `composition/hands/forms.txt`: one row per digit, the most frequent one first."""
    most = max(map(len, forms()))
    figure = Figure(figsize=(8.4, 4.6))
    axes = figure.add_subplot()
    for row, known in enumerate(forms()):
        for column, form in enumerate(sorted(known, key=lambda each: -each.weight)):
            _plot(axes, _centred(_strokes(form)), column, 1.35 * row, 1.3)
    axes.set(xlim=(-0.6, most - 0.4), ylim=(1.35 * 9 + 1.2, -0.2))
    bare(axes)
    return figure


def _strokes(form: Form) -> list[Stroke]:
    return list(np.split((form.sharp @ form.points).astype(np.float32), form.cuts))


def _centred(strokes: Sequence[Stroke]) -> list[Stroke]:
    """Put the middle of the strokes' width at x = 0."""
    x = np.concatenate(strokes)[:, 0]
    middle = np.array([(x.min() + x.max()) / 2, 0], np.float32)
    return [stroke - middle for stroke in strokes]


def _plot(axes: Axes, strokes: Sequence[Stroke], x: float, y: float, width: float) -> None:
    for stroke in strokes:
        across, down = stroke.T * 0.9
        axes.plot(across + x, down + y, color=TEXT, linewidth=width, solid_joinstyle="round")


@styled
def hands() -> Figure:
    """Let some writers write all digits, twice."""
    random = np.random.default_rng(5)
    figure = Figure(figsize=(8.4, 3.75))
    axes = figure.add_subplot()
    for row in range(WRITERS):
        hand = Hand.random(random)
        width = random.uniform(0.9, 2.4)
        for column in range(20):
            strokes = hand.write(column % 10, random)
            _plot(axes, _centred(strokes), column + (0.8 if column > 9 else 0), 1.6 * row, width)
    axes.set(xlim=(-0.7, 20.5), ylim=(1.6 * (WRITERS - 1) + 1.3, -0.3))
    axes.set_aspect("equal")
    bare(axes)
    return figure


@styled
def composed() -> Figure:
    """Draw composed pictures of each scene, with what the network should read there."""
    random = np.random.default_rng(2)
    figure = Figure(figsize=(8.4, 5.4))
    tiles = figure.subplots(len(SCENES), IN_ROW)
    for row, (scene, (name, frames)) in zip(tiles, SCENES.items(), strict=True):
        for axes in row:
            text = draw_text(random, in_cell=scene is scenes.ledger)
            chosen = frames[int(random.integers(len(frames)))]
            line = writing.compose_line(text[:6], Hand.random(random).write, chosen, random)
            _show_tile(axes, scene(line.coverage, line.digit_height, random), line.text or "nothing to read")
        row[0].text(-0.12, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=9, color=TEXT)
    return figure


def _show_tile(axes: Axes, picture: Pixels, caption: str, colour: str = MUTED) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    frame(axes)
    axes.set_anchor("W")
    axes.set_xlabel(caption, fontsize=8, loc="left", labelpad=2, color=colour)


SCENES: Mapping[Scene, tuple[str, tuple[writing.Frame, ...]]] = {
    scenes.cheque: ("cheque", (writing.tight,)),
    scenes.ledger: ("ledger", (writing.cell,)),
    scenes.scan: ("scan", (writing.tight, writing.loose)),
    scenes.photo: ("photo", (writing.tight, writing.loose)),
    scenes.screen: ("screen", (writing.tight, writing.loose)),
    scenes.board: ("board", (writing.tight, writing.loose)),
}


@dataclass(frozen=True)
class Kind:
    """A kind of number that is hard to read.

    Attributes:
        name: For people.
        digit: The middle one of three; None for any.
        forms: Names of the forms in which it is written; empty for any.
        gap: Between digits, in digit heights.
        change: What happens to the ink, float32 [h, w], share of ink in each pixel.
    """

    name: str
    digit: int | None = None
    forms: tuple[str, ...] = ()
    gap: float = 0.25
    change: Callable[[NDArray[np.float32]], NDArray[np.float32]] = np.asarray


def _faded(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    return coverage * np.float32(0.35)


def _cut(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut off the lowest 20 % of the ink."""
    inked = np.flatnonzero(coverage.max(axis=1) > 0.5)
    return coverage[: round(inked[0] + 0.8 * (inked[-1] - inked[0]))]


KINDS = (
    Kind("any digits"),
    Kind("9 with a tiny loop", 9, ("small-loop", "s-loop", "s-loop-right", "centre-stem")),
    Kind("2 with a large hook", 2, ("hooked", "curled", "ringed")),
    Kind("1 with a long upstroke", 1, ("full-flag", "back-flag", "low-flag")),
    Kind("1 with a wide foot", 1, ("flag-and-wide-foot", "wide-foot-in-one", "full-flag-and-foot")),
    Kind("4 like an h", 4, ("like-h", "like-h-wide", "like-h-straight")),
    Kind("digits that overlap", gap=-0.15),
    Kind("faint pencil", change=_faded),
    Kind("cut by the border", change=_cut),
)


@styled
def hard() -> Figure:
    """Draw a misread number of each hard kind, and how many of the kind are misread.

    Shown is the surest error, if possible one in the middle digit.
    """
    reader = NumberReader.load(threads=1)
    figure = Figure(figsize=(8.4, 4.2))
    for axes, kind in zip(figure.subplots(3, 3).flat, KINDS, strict=True):
        tries = [_try(kind, np.random.default_rng([9, number])) for number in range(TRIES)]
        readings = [reader.read(picture) for picture, _ in tries]
        wrong = [
            (picture, text, reading)
            for (picture, text), reading in zip(tries, readings, strict=True)
            if reading.text != text
        ]
        wrong.sort(key=lambda each: (len(each[2].text) != 3, each[1][1] == each[2].text[1:2], -each[2].confidence))
        picture, text, reading = wrong[0] if wrong else (*tries[0], readings[0])
        colour = WRONG if reading.accepted and wrong else MUTED
        read = f"read as {reading.text or 'nothing'}" if wrong else "read correctly, like all others"
        _show_tile(axes, picture, f"{text} {read}", colour)
        axes.set_title(f"{kind.name}: {len(wrong) / TRIES:.0%}", fontsize=9)
    return figure


def _try(kind: Kind, random: np.random.Generator) -> tuple[Pixels, str]:
    """Write three digits of a kind into a cell of a ledger."""
    hand, digits = Hand.random(random), random.integers(10, size=3).tolist()
    written = [hand.write(digit, random) for digit in digits]
    if kind.digit is not None:
        known = {form.name: form for form in forms()[kind.digit]}
        digits[1], written[1] = kind.digit, _strokes(known[str(random.choice(kind.forms))])
    strokes = _side_by_side(written, kind.gap)
    width, height = np.concatenate(strokes).max(axis=0) + FINE * np.array([0.5, 0.4])
    coverage = PEN.draw(strokes, (int(height), int(width)), FINE)
    return scenes.ledger(kind.change(coverage), FINE, random), "".join(map(str, digits))


def _side_by_side(digits: Sequence[Sequence[Stroke]], gap: float) -> list[Stroke]:
    """Place digits from left to right, in pixels."""
    placed, right = list[Stroke](), 0.5
    for strokes in digits:
        points = np.concatenate(strokes)
        shift = np.array([right - points[:, 0].min(), 0.4])
        placed += [np.asarray((stroke + shift) * FINE, np.float32) for stroke in strokes]
        right = float((points[:, 0] + shift[0]).max()) + gap
    return placed


DRAWN: Mapping[str, Callable[[], Figure]] = {
    "stages": stages,
    "letterforms": letterforms,
    "hands": hands,
    "composed": composed,
    "hard": hard,
}


if __name__ == "__main__":
    main()
