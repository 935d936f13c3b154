"""`mnist-cnn ensemble` and `distill`, from training the members to reading digits with the average."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli.commands import TINY, call
from mnist_cnn.cli.app import main
from mnist_cnn.datasets import load_dataset
from mnist_cnn.runs import RunFolder

TRAINED = ["ensemble", *TINY, "--members", "2"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An ensemble of two tiny networks, made by `mnist-cnn ensemble`, and the JSON object that it printed."""
    printed = io.StringIO()
    words = [*TRAINED, "--runs-dir", str(tmp_path_factory.mktemp("runs")), "--json"]
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    record = json.loads(printed.getvalue())
    return Path(record["run"]), record


@pytest.fixture(scope="module")
def ensemble(made: tuple[Path, dict[str, Any]]) -> Path:
    return made[0]


@pytest.mark.slow
def test_an_ensemble_is_a_folder_like_that_of_a_run(made: tuple[Path, dict[str, Any]]) -> None:
    folder, record = RunFolder(made[0]), made[1]
    assert folder.name == "conv3-digits-ensemble-001"
    assert folder.finished
    for path in (folder.report, folder.model_card, folder.predictions, folder.exports / "model.onnx"):
        assert path.exists()
    scores = record["members"]["scores"]
    assert [score["name"] for score in scores] == ["seed-0", "seed-1"]
    for score in scores:
        member = RunFolder(folder.members / score["name"])
        assert member.read_json(member.metrics)["accuracy"] == pytest.approx(score["accuracy"])
    assert record["members"]["accuracy_mean"] == pytest.approx(np.mean([score["accuracy"] for score in scores]))
    assert record["training"]["epochs"] == 4
    assert "seed-1" in folder.report.read_text("utf-8")
    assert (folder.figures / "disagreements.png").exists()


@pytest.mark.slow
def test_other_commands_take_it(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensemble, record = made
    code, out, _ = call(capsys, "evaluate", ensemble, "--json")
    assert code == 0
    assert json.loads(out)["members"] == record["members"]
    Image.fromarray(load_dataset("digits", split="test").images[0]).save(tmp_path / "digit.png")
    code, out, _ = call(capsys, "predict", tmp_path / "digit.png", "--model", ensemble, "--json")
    assert code == 0
    assert json.loads(out)["results"][0]["digit"] in range(10)
    code, out, _ = call(capsys, "compare", ensemble / "members" / "seed-0", ensemble, "--json")
    assert code == 0
    assert json.loads(out)["settings"] == {"model.average": [None, ["members/seed-0", "members/seed-1"]]}
    code, out, _ = call(capsys, "export", ensemble, "--format", "litert-int8,keras", "--allow-drop", "100", "--json")
    assert code == 0, out
    code, _, err = call(capsys, "train", "--recipe", ensemble / "config.toml", "--runs-dir", tmp_path)
    assert code == 2
    assert "mnist-cnn ensemble" in err


@pytest.mark.slow
def test_the_same_command_continues_an_interrupted_one(
    ensemble: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if it had been killed while the second member was trained."""
    stopped = shutil.copytree(ensemble, tmp_path / ensemble.name)
    for name in ("report.html", "model.keras", "exports/model.onnx", "members/seed-1/model.keras"):
        (stopped / name).unlink()
    shutil.rmtree(stopped / "members" / "seed-1")
    (stopped / "members" / "seed-1").mkdir()
    shutil.copy(ensemble / "members" / "seed-1" / "config.toml", stopped / "members" / "seed-1")
    before = (stopped / "members" / "seed-0" / "model.keras").read_bytes()
    code, _, err = call(capsys, "evaluate", stopped)
    assert (code, "mnist-cnn ensemble --resume" in err) == (2, True)
    code, out, _ = call(capsys, *TRAINED, "--runs-dir", tmp_path, "--json")
    assert code == 0
    assert json.loads(out)["run"] == str(stopped)
    assert (stopped / "members" / "seed-0" / "model.keras").read_bytes() == before
    code, out, _ = call(capsys, "ensemble", "--resume", stopped)
    assert "is already finished" in out


@pytest.mark.slow
def test_runs_are_averaged_and_one_network_learns_from_them(
    ensemble: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = sorted((ensemble / "members").iterdir())
    code, out, _ = call(capsys, "ensemble", *members, "--runs-dir", tmp_path, "--json")
    assert code == 0
    averaged = json.loads(out)
    assert averaged["accuracy"] == json.loads((ensemble / "metrics.json").read_text("utf-8"))["accuracy"]
    code, out, _ = call(capsys, "distill", averaged["run"], *_without_data(TINY), "--runs-dir", tmp_path, "--json")
    assert code == 0
    distilled = RunFolder(Path(json.loads(out)["run"]))
    assert distilled.name == "conv3-digits-distilled-001"
    assert "learnt from the answers of ensemble-001" in distilled.report.read_text("utf-8")


def _without_data(words: list[str]) -> list[str]:
    at = words.index("--dataset")
    return words[:at] + words[at + 2 :]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ensemble"], "no runs are given. Give 2 to 5 finished runs"),
        (["ensemble", "--recipe", "quick", "--members", "6"], "2 to 5 members, not 6"),
        (["ensemble", "none", "--recipe", "quick"], "--recipe is not possible here"),
        (["ensemble", "none", "nothing"], "there is no run none"),
        (["ensemble", "--resume", "none"], "there is no run none"),
        (["ensemble", "--resume", "none", "--runs-dir", "other"], "--runs-dir is not possible here. Omit it"),
        (["distill", "none"], "there is no model none"),
        (["distill", "digits", "--temperature", "0"], r"distillation.temperature = 0.0 is not valid"),
    ],
)
def test_mistakes_end_with_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, *words)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
