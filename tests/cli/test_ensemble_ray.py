"""`mnist-cnn ensemble --ray`: a cluster trains the members, and the command continues without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.commands import TINY, call
from mnist_cnn.runs import RunFolder
from ray_cluster import MARKS, two_machines

pytestmark = MARKS


def test_a_cluster_trains_the_members(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ensemble", *TINY, "--members", "2", "--runs-dir", tmp_path, "--json"]
    with two_machines() as address:
        code, out, err = call(capsys, *words, "--ray", address)
    assert code == 0, err
    record = json.loads(out)
    ensemble = RunFolder(Path(record["run"]))
    assert [score["name"] for score in record["members"]["scores"]] == ["seed-0", "seed-1"]
    models = [path.read_bytes() for path in sorted(ensemble.members.glob("*/model.keras"))]
    ensemble.report.unlink()
    code, out, _ = call(capsys, *words)
    assert code == 0
    assert json.loads(out)["run"] == record["run"], "the same ensemble, now without Ray"
    assert [path.read_bytes() for path in sorted(ensemble.members.glob("*/model.keras"))] == models
