"""How `benchmarks/ablations.py` changes recipes, and how it records runs in pieces."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from late import Late
from tables import ablations as make_table

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


def test_without_a_record_all_seeds_are_in_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(change: Any, seed: int, data_dir: str | None) -> dict[str, Any]:
        diverged = dict.fromkeys(("accuracy", "best_accuracy", "log_loss", "cpu_seconds")) | {"seed": seed}
        return run(seed, 99.0 + seed) if change.recipe == "quick" else diverged

    monkeypatch.setattr("ablations.in_own_process", measure)
    monkeypatch.setattr("sys.argv", ["ablations.py", "--seeds", "2", "--only", "as it is"])
    ablations.main()
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| quick, as it is | 99.500 ± 0.707 | 99.900 | 0.0100 | 2 | 0 |",
        "| fast, as it is | – | – | – | 0 | 2 |",
    ]


def test_the_table_pairs_seeds_and_leaves_out_earlier_settings(tmp_path: Path) -> None:
    options = argparse.Namespace(record=tmp_path / "ablations.json", note="")
    base, change, *_ = ablations.CHANGES
    other = ablations.Change(change.recipe, change.name, {"augmentation.zoom": 0.2})  # as the recipe was earlier
    ablations.record_run(other, run(0, 50.0), options)
    ablations.record_run(change, run(1, 98.8), options)
    assert "| `quick` without distortions | 98.80 |  | 99.90 |".replace("|  |", "| |") in make_table(tmp_path)
    for seed in (0, 1):
        ablations.record_run(base, run(seed, 99.0 + seed / 10), options)
    table = make_table(tmp_path)
    assert "| `quick` without distortions | 98.80 | −0.30 | 99.90 | 0.0100 | 1 | 60 |" in table
    assert "| `quick` as it is | 99.05 ± 0.07 | | 99.90 | 0.0100 | 2 | 60 |" in table
    for seed, accuracy in ((0, 98.999), (1, 99.1)):
        ablations.record_run(change, run(seed, accuracy), options)
    assert "| `quick` without distortions | 99.05 ± 0.07 | +0.00 |" in make_table(tmp_path)
