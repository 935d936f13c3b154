"""Runs side by side: settings that differ, metrics, and whether the difference is significant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_cnn.config import EXPECTATIONS, flatten, load_recipe, settings_in_use
from mnist_cnn.errors import SettingError
from mnist_cnn.evaluation import narrative
from mnist_cnn.evaluation.metrics import METRICS, PairedTest, paired_test
from mnist_cnn.evaluation.predictions import read_predictions
from mnist_cnn.runs import RunFolder

# The rows of the comparison, by dotted name in metrics.json.
ROWS = (
    "dataset", "split", "n", *(metric.key for metric in METRICS), "training.parameters", "training.epochs",
    "training.seconds",
)  # fmt: skip
_AVERAGE = "model.average"  # the setting that only ensembles have
WORDS_ONLY = ("title", "source", *EXPECTATIONS)  # descriptions, without effect on training


@dataclass(frozen=True)
class PairedComparison:
    """One run against the first."""

    run: str
    test: PairedTest | None
    reason: str  # why there is no test; empty where there is one
    summary: str  # the result, or the reason, as a sentence


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side; each tuple has one value per run, or None."""

    runs: tuple[str, ...]
    settings: dict[str, tuple[Any, ...]]  # only those that differ, by dotted name
    metrics: dict[str, tuple[Any, ...]]  # by dotted name
    tests: tuple[PairedComparison, ...]  # the first run against each other one

    def metric_rows(self) -> list[list[Any]]:
        """Return a table of the metrics for people: a label, then one text or number per run."""
        known = {metric.key: metric for metric in METRICS}
        rows: list[list[Any]] = []
        for name, values in self.metrics.items():
            metric = known.get(name)
            shown = [metric.text(value) if metric and value is not None else value for value in values]
            rows.append([metric.label if metric else name, *shown])
        return rows


def compare(runs: Sequence[RunFolder]) -> Comparison:
    """Compare finished runs.

    Raises:
        SettingError: Fewer than two runs.
        RunFolderError: A run is not finished or damaged.
    """
    if len(runs) < 2:
        raise SettingError(f"compare needs at least 2 runs, but got {len(runs)}. Add another run folder.")
    configs = [dict(flatten(settings_in_use(load_recipe(str(run.config))))) for run in runs]
    records = [run.read_json(run.metrics) for run in runs]
    measured = [dict(flatten(record)) for record in records]
    return Comparison(
        runs=tuple(run.name for run in runs),
        settings={name: row for name, row in differing(configs).items() if _is_told(name, configs)},
        metrics={name: tuple(each.get(name) for each in measured) for name in ROWS},
        tests=tuple(_test(runs[0], run, records[0], record) for run, record in zip(runs[1:], records[1:], strict=True)),
    )


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the settings that are not the same in all flat configurations, each with one value per configuration."""
    # A dictionary keeps their order; an empty table stands beside the settings that other runs have in it.
    names = dict.fromkeys(name for config in configs for name, value in config.items() if value != {})
    rows = {name: tuple(config.get(name) for config in configs) for name in names if name not in WORDS_ONLY}
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values)}


def _is_told(name: str, configs: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a setting that is not the same everywhere is more than one that ensembles do not have."""
    having = [config for config in configs if name in config or _AVERAGE not in config]
    return name == _AVERAGE or name in differing(having)


def _test(
    first: RunFolder, other: RunFolder, first_record: Mapping[str, Any], record: Mapping[str, Any]
) -> PairedComparison:
    if first_record.get("sha256") != record.get("sha256"):
        reason = (
            f"{first.name} was evaluated on {first_record.get('dataset')} ({first_record.get('n')} images) and "
            f"{other.name} on {record.get('dataset')} ({record.get('n')} images), "
            "but a paired test needs the same images"
        )
        return _untested(first, other, reason)
    labels, probabilities = read_predictions(first.predictions)
    other_labels, other_probabilities = read_predictions(other.predictions)
    if not np.array_equal(labels, other_labels):
        return _untested(first, other, "their predictions.csv files have different labels")
    test = paired_test(labels, probabilities.argmax(axis=1), other_probabilities.argmax(axis=1))
    return PairedComparison(other.name, test, "", narrative.paired(first.name, other.name, test))


def _untested(first: RunFolder, other: RunFolder, reason: str) -> PairedComparison:
    return PairedComparison(other.name, None, reason, f"No paired test of {first.name} and {other.name}: {reason}.")
