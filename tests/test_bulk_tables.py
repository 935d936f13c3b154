"""The tables of bulk reading, made from a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mnist_cnn.files import write_json
from tables import bulk_estimate, bulk_steps, bulk_ways, two_cores

PROCESSOR = "AMD EPYC (2 cores: avx512f, avx512_bf16)"


def record(reads: str, per_core: float) -> dict[str, Any]:
    """A record in which Ray reads a tenth slower."""
    ways = [
        {"way": "the reader alone, one process", "images_per_second": per_core, "efficiency": 1.0},
        {"way": "without Ray, two processes", "images_per_second": 2 * per_core, "efficiency": 1.0},
        {"way": "Ray, two workers", "images_per_second": 1.8 * per_core, "efficiency": 0.9, "worker_share": 0.95},
    ]
    for way in ways[1:]:
        way["first_rows_seconds"] = 4.0
    result = {
        "reads": reads,
        "ways": ways,
        "microseconds": {"file": 20.0, "preparation": 500.0, "network": 3000.0, "rest": 800.0},
        "saved_by_batch": 0.4,
        "traffic": {"bytes_to_worker": 60.0, "bytes_from_worker": 50.0, "row_bytes": 45.0, "microseconds": 1.5},
        "without_reading": {"here": 2e6, "ray": 5e4},
    }
    return {"command": reads, "date": "2026-11-30", "processor": PROCESSOR, "note": "", "result": result}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A folder of records: an older one of numbers, a newer one, and one of digits."""
    write_json(tmp_path / "ray_reading.json", [record("numbers", 1), record("numbers", 200), record("digits", 2000)])
    return tmp_path


def test_each_way_has_a_row_for_digits_and_for_numbers(records: Path) -> None:
    rows = bulk_ways(records).splitlines()
    assert "| digits | Ray, two workers | 3,600 | 90 % | 95 % | 4.0 |" in rows
    assert "| numbers | the reader alone, one process | 200 | 100 % | – | – |" in rows
    assert "| running the network, µs | 3,000 | 3,000 |" in bulk_steps(records).splitlines()
    assert "a batch of 32 images of one size saves | 40.0 % | 40.0 % |" in bulk_steps(records)
    assert "| numbers | 400 | 1,440,000 | 360 |" in two_cores(records).splitlines()


def test_the_estimate_follows_from_the_rate_of_two_workers(records: Path) -> None:
    rows = [line.strip("| ").split(" | ") for line in bulk_estimate(records).splitlines() if line.startswith("| ")]
    values = {row[0]: row[-1] for row in rows}
    assert values["images per second"] == "1,157"
    assert values["images per second and core"] == "180"
    assert values["cores"] == "9", "1157 / (180 × 0.7)"
    assert values["cores, money a day"] == "9 USD", "× 24 h × 0.0425 USD"
    assert values["requests, money a day"] == "40 USD"
    assert values["share of what the writing process can do"] == "2 %"
