"""How well whole numbers are read, on one core, with RapidOCR's network beside this package's.

    python benchmarks/whole_numbers.py --ink DIR [--data-dir DIR] [--fashion FILE.idx3-ubyte.gz] [--model FILE.onnx]
        [--rapidocr PYTHON] [--cutting] [--figure risk-coverage.png] [--wrong DIR]

DIR contains folders of pictures, each with `labels.csv` that has the columns `file` and `text`. RapidOCR takes part if
it is installed here (extra `ocr`), or in the environment of PYTHON: its recognition alone, on the untouched picture,
with digits as the only characters. The readers take turns picture by picture. Times are medians of processor time.
Numbers a second are those of `mnist-cnn read` on each folder: one process per core, whose start is included.

`RapidOCR` decodes and scores as RapidOCR does. `its network, decoded here` is the same network with this package's
decoder. `both readers` is `mnist-cnn read --second-opinion`. With --cutting, pictures are also cut into digits, see
`number_cutting`: alone, as a second opinion of equal weight, and as a condition for what this reader reads.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from mnist_cnn.bulk.job import Job, collect_model
from mnist_cnn.cli.readings import on_all_cores
from mnist_cnn.errors import MissingExtraError
from mnist_cnn.evaluation.figures.misread_numbers import MisreadNumber, misread_numbers
from mnist_cnn.evaluation.figures.risk_coverage import risk_coverage as draw_risk_coverage
from mnist_cnn.evaluation.figures.style import save
from mnist_cnn.evaluation.metrics import RiskCoverage
from mnist_cnn.evaluation.number_calibration import WRONG_AMONG_ACCEPTED
from mnist_cnn.evaluation.number_results import acceptance_curve
from mnist_cnn.reading.ink import read_image
from mnist_cnn.reading.numbers import NumberReader
from mnist_cnn.reading.numbers.decoding import decode
from mnist_cnn.reading.numbers.line_preparation import prepare
from mnist_cnn.reading.numbers.second_opinion import NETWORK, THRESHOLD, SecondOpinion
from mnist_cnn.reading.reading_records import TEXT
from mnist_cnn.reading.recognizer import Recognizer
from number_cutting import cut, most_probable_with_cutting
from number_pages import pages, two_lines
from number_pictures import Labelled, Pixels, cut_from_documents, enlarged, mnist_strings, without_number
from records import add_options, add_record

OWN, RAPIDOCR, DECODED, BOTH = "this reader", "RapidOCR", "its network, decoded here", "both readers"
CUTTING, WEIGHED, AGREED = "cutting into digits", "this reader and cutting", "this reader if cutting agrees"
ROUNDS = 3  # how often `mnist-cnn read` reads each folder, so that the start of its processes counts for less
MOST_FREQUENT = 12  # confusions that are printed


@dataclass(frozen=True)
class Answer:
    """What one reader says about one picture."""

    text: str
    confidence: float  #: of any range; higher is surer
    accepted: bool | None  #: None without a threshold
    seconds: float = 0.0  #: of processor time
    is_candidate: bool = True  #: False if it is accepted at no threshold


Read: TypeAlias = "Callable[[Path | Pixels], Answer]"


@dataclass(frozen=True)
class Result:
    """What one reader says about one set of pictures."""

    pictures: str
    reader: str
    truth: list[Labelled]
    answers: list[Answer]

    @property
    def wrong(self) -> list[tuple[Labelled, Answer]]:
        """The pictures that are misread."""
        pairs = zip(self.truth, self.answers, strict=True)
        return [(picture, answer) for picture, answer in pairs if picture.text != answer.text]

    @property
    def curve(self) -> RiskCoverage:
        """How much can be accepted at which risk."""
        pairs = zip(self.truth, self.answers, strict=True)
        return acceptance_curve(
            (each.confidence, each.text == picture.text, each.is_candidate) for picture, each in pairs
        )


def main() -> None:
    """Read every set, print the tables, and write what is asked for."""
    options = parse_options()
    cv2.setNumThreads(1)  # times are of one core
    readers = open_readers(options)
    numbers = [result for name, pictures in number_sets(options) for result in read_in_turn(name, pictures, readers)]
    alone = {OWN: readers[OWN]}  # RapidOCR's recognition alone does not look for numbers
    sought = [*enlarged(options.ink), *(pages(options.pages) if options.pages else [])]
    numbers += [result for name, pictures in sought for result in read_in_turn(name, pictures, alone)]
    others = [
        result
        for name, pictures in unreadable_sets(options)
        for result in read_in_turn(name, pictures, {name: readers[name] for name in (OWN, BOTH) if name in readers})
    ]
    rows, rejected = [summary(result) for result in numbers], [accepted_share(result) for result in others]
    rates = [throughput(name, pictures, options.model) for name, pictures in cut_from_documents(options.ink)]
    print("\n".join([*table(rows), "", *rejection_table(rejected), "", *map(describe_rate, rates)]))
    for result in numbers:
        if result.reader == OWN:
            print("\n".join(describe_errors(result)))
    write_pictures(numbers, options)
    add_record(options, {"numbers": rows, "no numbers": rejected, "numbers_per_second": rates})


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ink", type=Path, required=True, help="folder of folders with labels.csv")
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's files, if they are not found otherwise")
    parser.add_argument("--fashion", type=Path, help="IDX file of Fashion-MNIST's test images")
    parser.add_argument("--model", type=Path, help="an ONNX file that reads numbers; default: the included weights")
    parser.add_argument("--rapidocr", type=Path, metavar="PYTHON", help="an interpreter that has the package rapidocr")
    parser.add_argument("--cutting", action="store_true", help="also cut the pictures into digits")
    parser.add_argument("--strings", type=int, default=200, help="strings of MNIST's images of each length")
    parser.add_argument("--pages", type=int, default=100, help="large pictures with a small number of each kind")
    parser.add_argument("--drawn", type=int, default=500, help="pictures without a number of each kind")
    parser.add_argument("--figure", type=Path, help="where to draw the risk-coverage curves")
    parser.add_argument("--wrong", type=Path, metavar="DIR", help="where to draw sheets of what is misread")
    add_options(parser)
    return parser.parse_args()


def number_sets(options: argparse.Namespace) -> Iterator[tuple[str, list[Labelled]]]:
    """Yield every set of pictures of numbers."""
    yield from cut_from_documents(options.ink)
    if options.strings:
        yield from mnist_strings(options.data_dir, options.strings)


def unreadable_sets(options: argparse.Namespace) -> Iterator[tuple[str, list[Labelled]]]:
    """Yield every set of pictures that do not show exactly one number."""
    if options.drawn:
        yield from without_number(options.drawn, options.fashion)
    if options.pages:
        yield two_lines(options.pages)


def open_readers(options: argparse.Namespace) -> dict[str, Read]:
    """Open this package's reader, what is asked for beside it, and RapidOCR's network if it is there."""
    own = NumberReader.load(options.model, threads=1)
    readers: dict[str, Read] = {OWN: functools.partial(read_with, own)}
    if options.cutting:
        readers |= cutting_readers(own, Recognizer.load(threads=1))
    try:
        other = SecondOpinion.load(network_of(options.rapidocr) if options.rapidocr else None)
    except MissingExtraError as error:
        print(f"skipped: RapidOCR ({error})", file=sys.stderr)
        return readers
    both = dataclasses.replace(own, second_opinion=other, threshold=THRESHOLD)
    return readers | {
        RAPIDOCR: functools.partial(read_as_rapidocr, other),
        DECODED: functools.partial(read_decoded, other),
        BOTH: functools.partial(read_with, both),
    }


def cutting_readers(own: NumberReader, digits: Recognizer) -> dict[str, Read]:
    """Return the readers that cut numbers into digits, alone and beside this package's reader."""
    return {
        CUTTING: functools.partial(read_by_cutting, digits),
        WEIGHED: functools.partial(read_weighed, own, digits),
        AGREED: functools.partial(read_agreed, own, digits),
    }


def network_of(python: Path) -> Path:
    """Return the path of RapidOCR's network in another environment."""
    code = f"import importlib.metadata as m; print(m.distribution('rapidocr').locate_file({NETWORK!r}))"
    return Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())


def read_with(reader: NumberReader, source: Path | Pixels) -> Answer:
    """Read as a user of this package does."""
    reading = reader.read(source)
    return Answer(reading.text, reading.confidence, reading.accepted, is_candidate=reading.is_candidate)


def read_as_rapidocr(network: SecondOpinion, source: Path | Pixels) -> Answer:
    """Take the best character of each column, and as the confidence the mean of their probabilities."""
    probabilities = np.exp(network.columns(read_image(source)))
    best = probabilities.argmax(axis=1)
    starts = (best > 0) & (np.diff(best, prepend=0) != 0)
    score = float(probabilities.max(axis=1)[starts].mean()) if starts.any() else 0.0
    return Answer("".join(str(symbol - 1) for symbol in best[starts]), score, None)


def read_decoded(network: SecondOpinion, source: Path | Pixels) -> Answer:
    """Decode as this package does, with the probability of the whole number as its confidence."""
    decoded = decode(network.columns(read_image(source)))
    return Answer(decoded.text, decoded.log_probability, None)


def read_by_cutting(digits: Recognizer, source: Path | Pixels) -> Answer:
    """Take the most probable way to cut, with the product of its digits' probabilities as the confidence."""
    text, log_probability = cut(prepare(source), digits).best()
    return Answer(text, log_probability, None)


def read_weighed(own: NumberReader, digits: Recognizer, source: Path | Pixels) -> Answer:
    """Take the number that is most probable to both."""
    line = prepare(source)
    text, log_probability = most_probable_with_cutting(own.looks(line)[0], cut(line, digits))
    return Answer(text, log_probability, None)


def read_agreed(own: NumberReader, digits: Recognizer, source: Path | Pixels) -> Answer:
    """Read as this package does, without confidence if cutting leads to another number."""
    answer, (text, _) = read_with(own, source), cut(prepare(source), digits).best()
    confidence = answer.confidence if text == answer.text else 0.0
    return Answer(answer.text, confidence, None, is_candidate=answer.is_candidate)


def read_in_turn(name: str, pictures: list[Labelled], readers: dict[str, Read]) -> list[Result]:
    """Read each picture with every reader before the next picture."""
    print(f"{name}: {len(pictures)} pictures", file=sys.stderr)
    results = [Result(name, reader, pictures, []) for reader in readers]
    for picture in pictures:
        for result, read in zip(results, readers.values(), strict=True):
            began = time.process_time()
            answer = read(picture.source)
            result.answers.append(dataclasses.replace(answer, seconds=time.process_time() - began))
    return results


def summary(result: Result) -> dict[str, Any]:
    """Return what the table shows of a set of numbers; shares are 0 to 1."""
    count, wrong = len(result.truth), result.wrong
    accepted = [each for each in result.answers if each.accepted]
    wrongly_accepted = sum(bool(answer.accepted) for _, answer in wrong)
    has_threshold = result.answers[0].accepted is not None
    edits = sum(edit_distance(picture.text, answer.text) for picture, answer in wrong)
    return {
        "pictures": result.pictures,
        "reader": result.reader,
        "number": count,
        "right": 1 - len(wrong) / count,
        "digit_errors": edits / sum(len(each.text) for each in result.truth),
        "wrong_length": sum(len(picture.text) != len(answer.text) for picture, answer in wrong) / count,
        "accepted": len(accepted) / count if has_threshold else None,
        "wrong_of_accepted": wrongly_accepted / max(len(accepted), 1) if has_threshold else None,
        "acceptable": result.curve.coverage_at(WRONG_AMONG_ACCEPTED),
        "milliseconds": 1000 * statistics.median(each.seconds for each in result.answers),
    }


def accepted_share(result: Result) -> dict[str, Any]:
    """Return how many pictures without a number are accepted, 0 to 1."""
    share = sum(bool(each.accepted) for each in result.answers) / len(result.answers)
    return {"pictures": result.pictures, "reader": result.reader, "number": len(result.answers), "accepted": share}


def edit_distance(first: str, second: str) -> int:
    """Return the least number of insertions, deletions and substitutions between two texts (Levenshtein 1966)."""
    row = list(range(len(second) + 1))
    for place, one in enumerate(first, 1):
        before, row[0] = row[0], place
        for column, other in enumerate(second, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (one != other))
    return row[-1]


def throughput(name: str, pictures: Sequence[Labelled], model: Path | None) -> dict[str, Any]:
    """Measure how many numbers per second `mnist-cnn read` reads on all cores, the start of its processes included."""
    reader = NumberReader.load(model)
    names = [str(each.source) for each in pictures] * ROUNDS
    began = time.perf_counter()
    with on_all_cores(
        lambda: Job(TEXT, reader.threshold, collect_model(model)), reader.read_many, reader.threads
    ) as read:
        count = sum(1 for _ in read(names))
    return {"pictures": name, "number": count, "per_second": count / (time.perf_counter() - began)}


def describe_rate(rate: dict[str, Any]) -> str:
    """Write a rate with what it was measured on."""
    return f"{rate['pictures']}: {rate['per_second']:.0f} numbers a second on all cores, {rate['number']:,} in all"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Write the table of all numbers; all but the times in percent."""
    lines = [
        "| pictures | reader | number | right | digit errors | wrong length | accepted | wrong of these "
        "| acceptable with 1 % wrong | ms |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    keys = "right", "digit_errors", "wrong_length", "accepted", "wrong_of_accepted", "acceptable"
    for row in rows:
        shares = ("–" if row[key] is None else f"{100 * row[key]:.1f}" for key in keys)
        cells = row["pictures"], row["reader"], f"{row['number']:,}", *shares, f"{row['milliseconds']:.1f}"
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def rejection_table(rows: list[dict[str, Any]]) -> list[str]:
    """Write the table of pictures without a number."""
    cells = ([row["pictures"], row["reader"], f"{row['number']:,}", f"{100 * row['accepted']:.1f}"] for row in rows)
    return [
        "| no number | reader | number | accepted |",
        "|---|---|--:|--:|",
        *(f"| {' | '.join(row)} |" for row in cells),
    ]


def describe_errors(result: Result) -> list[str]:
    """Write the most frequent confusions of digits, and of numbers whose length is wrong."""
    pairs = [(picture.text, answer.text) for picture, answer in result.wrong]
    confusions = Counter(
        f"{one} as {other}"
        for text, read in pairs
        if len(text) == len(read)
        for one, other in zip(text, read, strict=True)
        if one != other
    )
    lengths = Counter(f"{len(read) - len(text):+d}" for text, read in pairs if len(text) != len(read))
    return [f"\n{result.pictures}: {frequent(confusions)}", f"  digits too many or too few: {frequent(lengths)}"]


def frequent(counts: Counter[str]) -> str:
    """List what is most frequent, with its count."""
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common(MOST_FREQUENT)) or "none"


def write_pictures(results: list[Result], options: argparse.Namespace) -> None:
    """Draw the curves and the sheets, if they are asked for."""
    if options.figure:
        curves: dict[str, dict[str, RiskCoverage]] = {}
        for result in results:
            curves.setdefault(result.pictures, {})[result.reader] = result.curve
        save(draw_risk_coverage(curves, WRONG_AMONG_ACCEPTED), options.figure)
    if options.wrong:
        for result in results:
            if result.wrong and result.reader in (OWN, BOTH, CUTTING):
                save(misread_numbers(misread(result.wrong)), options.wrong / f"{result.pictures}, {result.reader}.png")


def misread(wrong: list[tuple[Labelled, Answer]]) -> list[MisreadNumber]:
    """Return what is drawn of misread pictures, the surest first."""
    return [
        MisreadNumber(read_image(picture.source), picture.text, answer.text, answer.confidence, bool(answer.accepted))
        for picture, answer in sorted(wrong, key=lambda pair: -pair[1].confidence)
    ]


if __name__ == "__main__":
    main()
