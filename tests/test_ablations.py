"""How `benchmarks/ablations.py` changes recipes, and how it records runs in pieces."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from late import Late

ablations, architectures = Late("ablations"), Late("mnist_cnn.models.architectures")


def run(seed: int, accuracy: float) -> dict[str, Any]:
    return {"seed": seed, "accuracy": accuracy, "best_accuracy": 99.9, "log_loss": 0.01, "cpu_seconds": 60.0}


def test_every_change_is_a_valid_recipe_and_differs_from_all_others() -> None:
    digests = [ablations.digest_settings(ablations.changed_recipe(each)) for each in ablations.CHANGES]
    assert len(set(digests)) == len(digests)
    for each in ablations.CHANGES:
        settings = ablations.changed_recipe(each)
        assert settings.data.validation == 0.2
        architectures.find_architecture(settings.model.architecture, settings.model.arguments)


def test_runs_of_a_change_share_a_record(tmp_path: Path) -> None:
    options = argparse.Namespace(record=tmp_path / "new" / "ablations.json", note="")
    first, other, *_ = ablations.CHANGES
    for change, seed in ((first, 1), (other, 0), (first, 0)):
        ablations.record_run(change, run(seed, 99.0 + seed / 10), options)
    assert list(ablations.recorded(options.record, first)) == [0, 1]
    assert ablations.recorded(options.record, other)[0]["accuracy"] == 99.0
    assert ablations.recorded(None, first) == {}
    assert len(ablations.read_records(options.record)) == 2
