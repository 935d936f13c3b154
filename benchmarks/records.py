"""Recorded results: what a benchmark measured, with which versions, on which processor.

The files in `benchmarks/results/` are lists of such records. `scripts/check_documents.py` compares the tables of the
documentation with them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shlex
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from mnist_cnn.environment.machine import describe_environment, label_processor
from mnist_cnn.files import write_json

AS_IT_IS = "as it is"  # an ablation that changes nothing


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options with which a benchmark records its results."""
    parser.add_argument("--record", type=Path, metavar="FILE", help="add the results to this JSON file")
    parser.add_argument("--note", default="", help="for the record: what disturbed the measurement")


def add_record(options: argparse.Namespace, result: Any, processor: str | None = None) -> None:
    """Add a result to `--record`, if it is given, instead of an earlier one of the same command and processor.

    Args:
        options: With those of `add_options`.
        result: What was measured: rows or named values, ready for JSON.
        processor: Where it was measured; default: here.
    """
    if options.record is None:
        return
    record = make_record(
        result, describe_command(sys.argv), processor or label_processor(describe_environment()), options.note
    )
    with _alone(options.record):
        records = [each for each in read_records(options.record) if not is_same_measurement(each, record)]
        write_records(options.record, [*records, record])


def add_run(
    options: argparse.Namespace,
    key: Mapping[str, str],
    run: Mapping[str, Any],
    summarise: Callable[[list[Any]], Any],
    command: str,
) -> None:
    """Add a run to `--record`, if it is given: to the record of runs that differ only in their seed, if there is one.

    Args:
        options: The parsed command line, with the options of `add_options`.
        key: Identifies these runs: `settings`, their digest, and `processor`. The note of `options` counts as well.
        run: What was measured, with its `seed`; a run with the same seed is replaced.
        summarise: Makes the result of all runs, which contains them as `runs`.
        command: Command that repeats the measurement, without `--seeds`.
    """
    if options.record is None:
        return
    key = {**key, "note": options.note}
    with _alone(options.record):
        records = read_records(options.record)
        same = [
            each for each in records if runs_of(each) and all(each.get(name) == value for name, value in key.items())
        ]
        earlier = [each for record in same for each in runs_of(record) if each["seed"] != run["seed"]]
        runs = sorted([*earlier, run], key=lambda each: int(each["seed"]))
        command = f"{command} --seeds {runs[-1]['seed'] + 1}"
        record = {**make_record(summarise(runs), command, key["processor"], options.note), **key}
        write_records(options.record, [*(each for each in records if each not in same), record])


def runs_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the runs of a record that `add_run` made; of an earlier record, which contains only their mean, none."""
    result = record["result"]
    runs: list[dict[str, Any]] = (result[0] if isinstance(result, list) else result).get("runs", [])
    return runs


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let no other process write the file meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        yield


def statistics_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the mean and the standard deviation of the accuracies of at least one run, and the mean log loss."""
    accuracies = [run["accuracy"] for run in runs]
    return {
        "seeds": len(runs),
        "accuracy": statistics.mean(accuracies),
        "accuracy_sd": statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0,
        "log_loss": statistics.mean(run["log_loss"] for run in runs),
    }


def spread(row: Mapping[str, Any], digits: int = 2) -> str:
    """Write what `statistics_of` gave as mean ± standard deviation."""
    deviation = f" ± {row['accuracy_sd']:.{digits}f}" if row["seeds"] > 1 else ""
    return f"{row['accuracy']:.{digits}f}{deviation}"


def make_record(result: Any, command: str, processor: str, note: str) -> dict[str, Any]:
    """Say what was measured today: how, where, and with which versions.

    Args:
        result: Rows or named values, ready for JSON.
        command: That repeats the measurement.
        processor: Where it was measured.
        note: What disturbed the measurement.
    """
    environment = describe_environment()
    return {
        "command": command,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": processor,
        "note": note,
        "versions": {"python": environment["python"], **environment["packages"]},
        "result": result,
    }


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """Write the records of a file; its folder is made if it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, records)


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read the records of a file, oldest first; none if it does not exist."""
    if not path.exists():
        return []
    records: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return records


def is_same_measurement(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two records come from the same command on the same processor."""
    return all(one[key] == other[key] for key in ("command", "processor"))


def describe_command(words: Sequence[str]) -> str:
    """Give the command as it works anywhere: without the files it writes, with placeholders for this machine's paths.

    Args:
        words: As in `sys.argv`.
    """
    kept = ["python", f"benchmarks/{Path(words[0]).name}"]
    rest = iter(part for word in words[1:] for part in (word.split("=", 1) if word.startswith("--") else [word]))
    for word in rest:
        if word in ("--record", "--note", "--json"):
            next(rest)
        elif Path(word).is_absolute():
            kept.append("DIR" if Path(word).is_dir() else "FILE")
        else:
            kept.append(word)
    return shlex.join(kept)
