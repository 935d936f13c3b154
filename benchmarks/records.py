"""Recorded results: what a benchmark measured, with which versions, on which processor.

The files in `benchmarks/results/` are lists of such records. `scripts/check_documents.py` compares the tables of the
documentation with them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_cnn.environment.machine import describe_environment, label_processor
from mnist_cnn.files import write_json

RESULTS = Path(__file__).parent / "results"


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
    records = [each for each in read_records(options.record) if not is_same_measurement(each, record)]
    write_records(options.record, [*records, record])


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
    rest = iter(words[1:])
    for word in rest:
        if word in ("--record", "--note", "--json"):
            next(rest)
        elif Path(word).is_absolute():
            kept.append("DIR" if Path(word).is_dir() else "FILE")
        else:
            kept.append(word)
    return shlex.join(kept)
