"""What `benchmarks/time_to_accuracy.py` computes, and that it runs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import time_to_accuracy
from late import Late
from records import add_record
from tables import time_to_accuracy as make_table

architectures, port = Late("mnist_cnn.models.architectures"), Late("one_epoch_port")

CEILINGS = [{"float32": 1e9, "bfloat16": 4e9}, {"float32": 2e9, "bfloat16": 3e9}]


def measurement(seconds: float, accuracy: float, **more: Any) -> dict[str, Any]:
    times = {"seconds": seconds, "warm_seconds": seconds - 1, "cpu_seconds": 2 * seconds}
    return {**times, "accuracy": accuracy, "epochs": 3, "precision": "float32", **more}


def recipe(seconds: float, accuracy: float) -> dict[str, Any]:
    return measurement(seconds, accuracy, precision="bfloat16", operations=4_000_000_000, train_seconds=9.0)


def example() -> dict[str, Any]:
    return time_to_accuracy.summarise(
        {
            "ceiling": CEILINGS,
            "stock": [measurement(301, 99.4)],
            "port, float32": [measurement(9, 99.0), measurement(7, 99.0)],
            "port, bfloat16": [measurement(8, 98.9), measurement(6, 99.1)],
            "recipe": [recipe(3, 99.2), recipe(5, 99.4)],
            "sprint": [recipe(2, 99.0), recipe(3, 99.1)],
        },
        "fast",
    )


def test_ratios_are_those_of_medians_by_the_same_definition_on_both_sides() -> None:
    result = example()
    assert result["ratio_to_stock"] == 301 / 4
    assert result["warm_ratio_to_stock"] == 300 / 3
    assert result["cpu_ratio_to_stock"] == 602 / 8
    assert result["ratio_to_port"] == 7 / 2.5  # the faster port
    assert result["warm_ratio_to_port"] == 6 / 1.5
    assert result["accuracy_mean"] == pytest.approx(99.3)
    assert result["sprint_accuracy_mean"] == pytest.approx(99.05)


def test_the_floor_is_that_of_the_best_ceiling_in_the_precision_of_the_recipe() -> None:
    result = example()
    assert result["floor_seconds"] == 1
    assert result["times_the_floor"] == 4
    assert result["warm_times_the_floor"] == 3


def test_warm_seconds_count_the_first_call_like_the_second() -> None:
    found = time_to_accuracy.time_steps([(10, 0), (13, 4), (14, 5), (16, 8)])
    assert found == {"seconds": 6, "cpu_seconds": 8, "warm_seconds": 4}


def test_the_epochs_that_were_not_trained_take_the_median_of_the_later_ones() -> None:
    ticks = [(0.0, 0.0), (10.0, 10.0), (12.0, 11.0), (16.0, 12.0), (18.0, 13.0)]
    assert time_to_accuracy.time_epochs(ticks) == {"seconds": 18 + 16 * 2, "cpu_seconds": 13 + 16, "warm_seconds": 42}


def test_a_training_step_needs_three_products_but_two_in_the_first_layer() -> None:
    model = architectures.build_model("conv3", {"filters": [4, 8], "dense": 16}, 10)
    first, second = 26 * 26 * 9 * 4, 11 * 11 * 9 * 4 * 8
    dense = 11 * 11 * 8 * 16 + 16 * 10
    assert time_to_accuracy.count_operations(model) == 2 * (2 * first + 3 * (second + dense))


def test_the_port_has_the_network_of_its_original() -> None:
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")
    network = port.build_port()
    shapes = [tuple(each.shape) for each in network.parameters() if each.ndim > 1]
    assert shapes == [(24, 1, 5, 5), (32, 24, 3, 3), (256, 800), (10, 256)]
    assert sum(each.numel() for each in network.parameters()) == 215_194

    places = {24: 24 * 24, 32: 10 * 10}
    multiply_adds = sum(each.numel() * places.get(each.shape[0], 1) for each in network.parameters() if each.ndim > 1)
    assert multiply_adds == 1_244_160
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_table_names_the_recipe_and_its_floor(tmp_path: Path) -> None:
    options = argparse.Namespace(record=tmp_path / "time_to_accuracy.json", note="")
    add_record(options, example(), "AMD EPYC (2 cores: avx2, avx512f, avx512_bf16)")
    table = make_table(tmp_path)
    assert "| `fast` | 3 | bfloat16 | 4.00 | 3.00 | 8.00 | 99.30 ± 0.14 | 2 | EPYC |" in table
    assert "EPYC: stock takes 75 times as long as `fast` (100 warm" in table
    assert "it takes 4.0 times as long (3.0 warm)" in table
    assert "two cores of an AMD EPYC with AVX-512 and bfloat16" in table


def test_an_accuracy_that_was_not_measured_is_a_dash(tmp_path: Path) -> None:
    options = argparse.Namespace(record=tmp_path / "time_to_accuracy.json", note="")
    result = example()
    result["rows"][0]["accuracy"] = None
    add_record(options, result, "AMD EPYC (Zen 3) (2 cores: avx, avx2, fma)")
    assert "| – | 1 | EPYC (Zen 3) |" in make_table(tmp_path)


def test_without_records_the_table_is_empty(tmp_path: Path) -> None:
    assert len(make_table(tmp_path).splitlines()) == 2


@pytest.mark.mnist
@pytest.mark.timeout(900)
def test_a_few_images_are_measured_once(
    tmp_path: Path, mnist_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="the extra `torch` is not installed")
    result = tmp_path / "result.json"
    words = ["--data-dir", str(mnist_dir), "--recipe", "conv3", "--sprint", "training.epochs=1", "--seeds", "1"]
    words += ["--images", "600", "--stock-epochs", "2", "--runs-dir", str(tmp_path / "runs"), "--json", str(result)]
    monkeypatch.setattr(sys, "argv", ["time_to_accuracy.py", *words])

    time_to_accuracy.main()

    found = json.loads(result.read_text("utf-8"))
    assert found["seeds"] == 1
    assert 10 < found["accuracy_mean"] <= 100
    assert all(row["seconds"] > row["warm_seconds"] > 0 for row in found["rows"] if row["variant"] != "stock")
    assert [row["accuracy"] for row in found["rows"] if row["variant"] == "stock"] == [None], "after 2 of 20 epochs"
    assert "stock, seed 0" in capsys.readouterr().err
    time_to_accuracy.main()
    assert capsys.readouterr().err == ""
    assert json.loads(result.read_text("utf-8")) == found
