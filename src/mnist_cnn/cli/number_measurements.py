"""`mnist-cnn evaluate` on whole numbers: read a folder of labelled pictures, and show how well."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_cnn.cli.inputs import image_files
from mnist_cnn.cli.options import number_model
from mnist_cnn.cli.readings import on_all_cores, quieten
from mnist_cnn.environment import shell
from mnist_cnn.errors import SettingError
from mnist_cnn.reading.reading_records import TEXT

if TYPE_CHECKING:
    from mnist_cnn.bulk.job import Job
    from mnist_cnn.cli.terminal import Terminal
    from mnist_cnn.datasets.number_folder import LabelledNumber
    from mnist_cnn.evaluation.metrics import Interval
    from mnist_cnn.evaluation.number_results import NumberResults, OperatingPoint


_NAMED = 3  # pictures that a message names


@dataclass(frozen=True)
class HowToRead:
    """The options of `mnist-cnn read` that change what is read, and how sure it is."""

    length: str | None
    pattern: str | None
    second_opinion: bool

    @property
    def words(self) -> list[str]:
        """The options as words of a command line."""
        known = {"--length": self.length, "--pattern": self.pattern}
        given = [word for name, value in known.items() if value is not None for word in (name, value)]
        return [*given, *(["--second-opinion"] if self.second_opinion else [])]


def evaluate_numbers(model: Path, dataset: str | None, how: HowToRead, output: Path | None, terminal: Terminal) -> None:
    """Read every picture, show what is right, accepted and wrong, and write the report if `output` is given.

    Raises:
        InputError: The model does not exist, no folder is given, the folder has no valid table of labels, or a length
            or pattern is invalid.
        MissingExtraError: A report is asked for, and what draws it is not installed.
    """
    if dataset is None:
        raise SettingError("no pictures are given. Name a folder of pictures with labels.csv: --dataset FOLDER")
    quieten()
    from mnist_cnn.datasets.number_folder import read_number_folder

    if output:
        from mnist_cnn.evaluation.number_report import write_number_report  # first, since an extra may be missing
    from mnist_cnn.reading.numbers import Constraint

    constraint = Constraint.of(how.length, how.pattern)  # an error in it comes before the pictures are read
    numbers = read_number_folder(Path(dataset))
    unfit = [each for each in numbers if constraint and each.text and not constraint.automaton.accepts(each.text)]
    if unfit:
        terminal.warn(_describe_unfit(unfit, how))
    unlabelled = _unlabelled(Path(dataset), numbers)
    if unlabelled:
        terminal.warn(
            f"pictures in {dataset} that are not in labels.csv, and do not count: {len(unlabelled):,} "
            f"({_list(unlabelled)}). To count them, add a line for each."
        )
    results = _read(model, dataset, numbers, how, terminal)
    use = _use(model, how, results.suggested)
    _show(results, use, terminal)
    record = {**results.as_dict(), "unlabelled": len(unlabelled), "unfit_labels": len(unfit), "command": use or None}
    if output:
        command = shell.join(["mnist-cnn", "evaluate", str(model), "--dataset", dataset, *how.words])
        record["report"] = str(write_number_report(output, results, command, use))
        terminal.say(f"Report: {record['report']}")
    terminal.finish(record)


def _unlabelled(folder: Path, numbers: list[LabelledNumber]) -> list[str]:
    """Return the pictures of a folder that have no label, as paths within it."""
    labelled = {os.path.normcase(os.path.normpath(each.path)) for each in numbers}
    found = (path for path in image_files([str(folder)]) if os.path.normcase(os.path.normpath(path)) not in labelled)
    return [os.path.relpath(path, folder) for path in found]


def _describe_unfit(unfit: list[LabelledNumber], how: HowToRead) -> str:
    known = [name for name, value in (("--length", how.length), ("--pattern", how.pattern)) if value is not None]
    return (
        f"labels that do not fit {' and '.join(known)}, so that their pictures cannot be read right: {len(unfit):,} "
        f"({_list([f'{each.file}: {each.text}' for each in unfit])}). Check {' and '.join(known)} and the labels."
    )


def _list(names: list[str]) -> str:
    return ", ".join([*names[:_NAMED], *(["…"] if names[_NAMED:] else [])])


def _read(
    model: Path, dataset: str, numbers: list[LabelledNumber], how: HowToRead, terminal: Terminal
) -> NumberResults:
    from rich.progress import track

    from mnist_cnn.evaluation.number_results import NumberResults, pair
    from mnist_cnn.reading.numbers import NumberReader

    chosen = number_model(model)
    reader = NumberReader.load(chosen, second_opinion=how.second_opinion)

    def job() -> Job:
        from mnist_cnn.bulk.job import Job, collect_model

        return Job(TEXT, reader.threshold, collect_model(chosen), **dataclasses.asdict(how))

    in_threads = partial(reader.read_many, length=how.length, pattern=how.pattern)
    with on_all_cores(job, in_threads, reader.threads) as read_many:
        readings = track(
            read_many([str(each.path) for each in numbers]),
            "Reading",
            total=len(numbers),
            console=terminal.console,
            transient=True,
            disable=not terminal.console.is_terminal,
        )
        outcomes = pair(numbers, (result for _, result in readings))
    return NumberResults(str(model), dataset, reader.threshold, outcomes)


def _use(model: Path, how: HowToRead, suggested: OperatingPoint | None) -> str:
    """Return the command that reads with the suggested threshold; empty if there is none."""
    if suggested is None:
        return ""
    chosen = ["--model", str(model)] if number_model(model) else []
    threshold = ["--threshold", str(suggested.threshold)]
    return shell.join(["mnist-cnn", "read", "PICTURES", *chosen, *how.words, *threshold])


def _show(results: NumberResults, use: str, terminal: Terminal) -> None:
    from mnist_cnn.evaluation.number_calibration import WRONG_AMONG_ACCEPTED

    goal = f"{WRONG_AMONG_ACCEPTED:.0%}".replace("%", " %")
    if errors := results.unreadable:
        terminal.warn(
            f"pictures that could not be read, and count as not read: {len(errors):,}. The first: {errors[0]}"
        )
    if accuracy := results.accuracy:
        share = f"{accuracy.value:.2%} (95 % interval {_range(accuracy)})"
        terminal.say(f"Numbers read without any error: {results.right:,} of {results.numbers:,}, {share}")
    rows = [_row("the model's own", results.own)]
    if results.suggested:
        rows.append(_row(f"at most {goal} wrong", results.suggested))
    count = len(results.outcomes)
    title = f"Accepted of {count:,} picture{'' if count == 1 else 's'} in {results.dataset}"
    terminal.table(["threshold", "value", "accepted", "wrong of these", "95 % interval"], rows, title=title)
    if use:
        terminal.say(f"To read with the second threshold: {use}")
        terminal.say("It was chosen on these pictures. Check it on other ones before you rely on it.")
    else:
        terminal.say(f"On these pictures, no threshold accepts numbers of which at most {goal} are wrong.")


def _row(name: str, point: OperatingPoint) -> list[str]:
    risk = point.risk
    return [
        name,
        f"{point.threshold:.6g}",
        f"{point.accepted:,} ({point.coverage:.1%})",
        f"{point.wrong:,} ({risk.value:.2%})" if risk else str(point.wrong),
        _range(risk) if risk else "–",
    ]


def _range(interval: Interval) -> str:
    return f"{interval.low:.2%} to {interval.high:.2%}"
