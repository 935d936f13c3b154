"""What an evaluation on whole numbers writes into a folder: a page, its pictures, all readings, and the numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_cnn.errors import DataError
from mnist_cnn.evaluation.figures.misread_numbers import MisreadNumber, misread_numbers
from mnist_cnn.evaluation.figures.risk_coverage import risk_coverage
from mnist_cnn.evaluation.figures.style import save
from mnist_cnn.evaluation.number_calibration import WRONG_AMONG_ACCEPTED
from mnist_cnn.evaluation.number_results import NumberOutcome, NumberResults, OperatingPoint
from mnist_cnn.evaluation.templates import percent, render
from mnist_cnn.evaluation.templates.pictures import embed
from mnist_cnn.files import write_json, write_text, write_whole
from mnist_cnn.reading.ink import read_image
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ERRORS_SHOWN = 40
UNREADABLE_SHOWN = 20
_COLUMNS = ("file", "text", "read", "confidence", "accepted", "reason")


def write_number_report(folder: Path, results: NumberResults, command: str, use: str) -> Path:
    """Write metrics.json, predictions.csv, the pictures and the page.

    Args:
        folder: Where to write.
        results: What was read.
        command: The command that repeats this evaluation.
        use: The command that reads with the suggested threshold; empty if there is none.

    Returns:
        The page's path. It is written last, so where it exists, everything else does.

    Raises:
        WriteError: The folder cannot be written.
    """
    place = RunFolder(folder)
    write_number_predictions(place.predictions, results)
    write_json(place.metrics, results.as_dict())
    for outdated in place.figures.glob("*.png"):
        outdated.unlink()  # an earlier evaluation may have drawn what this one does not
    pictures = {}
    for name, figure in _draw(results):
        pictures[name] = place.figures / f"{name}.png"
        save(figure, pictures[name])
    write_text(place.report, _page(results, pictures, command, use))
    return place.report


def write_number_predictions(path: Path, results: NumberResults) -> None:
    """Write one CSV row per picture: file, text, read, confidence, accepted, reason.

    Raises:
        WriteError: The file cannot be written.
    """
    with write_whole(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for each in results.outcomes:
            confidence = "" if isinstance(each.result, DataError) else f"{each.confidence:.6f}"
            accepted = str(not each.reason).lower()
            writer.writerow([each.truth.file, each.truth.text, each.read, confidence, accepted, each.reason])


def _draw(results: NumberResults) -> Iterator[tuple[str, Figure]]:
    curves = {Path(results.dataset).name: {results.model: results.curve}}
    yield "risk-coverage", risk_coverage(curves, WRONG_AMONG_ACCEPTED)
    if wrong := results.surest_wrong[:ERRORS_SHOWN]:
        yield "misread", misread_numbers([_shown(each) for each in wrong])


def _shown(each: NumberOutcome) -> MisreadNumber:
    image = read_image(each.truth.path)
    return MisreadNumber(image, each.truth.text, each.read, each.confidence, not each.reason)


def _page(results: NumberResults, pictures: dict[str, Path], command: str, use: str) -> str:
    return render(
        "numbers.html",
        results=results,
        own=results.own,
        goal=WRONG_AMONG_ACCEPTED,
        verdict=_verdict(results),
        limits=_limits(results),
        pictures=embed(pictures),
        shown=min(ERRORS_SHOWN, len(results.surest_wrong)),
        shown_errors=UNREADABLE_SHOWN,
        command=command,
        use=use,
    )


def _verdict(results: NumberResults) -> str:
    own = results.own
    accepted = f"It accepted {own.accepted:,} of {own.pictures:,} pictures, {own.wrong:,} of them wrongly."
    if not results.numbers:
        return f"None of the pictures shows a number. {accepted}"
    return f"The model read {results.right:,} of {results.numbers:,} numbers without any error. {accepted}"


def _limits(results: NumberResults) -> list[str]:
    limits = [
        "All numbers hold for pictures like these: the same forms, pens, cameras and kinds of writers. Pictures by the "
        "same writer resemble each other and count for less.",
    ]
    return [*(_limits_of(results.suggested) if results.suggested else []), *limits]


def _limits_of(suggested: OperatingPoint) -> list[str]:
    limits = [
        "The second threshold was chosen on these pictures, so it looks better on them than on others. Check it on "
        "other pictures before you rely on it.",
    ]
    risk = suggested.risk
    if risk and risk.high > WRONG_AMONG_ACCEPTED:
        limits.insert(
            0,
            f"With so few pictures, it is plausible that up to {percent(risk.high, 1)} of the numbers that the second "
            f"threshold accepts are wrong, not {percent(WRONG_AMONG_ACCEPTED, 0)}.",
        )
    return limits
