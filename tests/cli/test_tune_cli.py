"""`mnist-cnn tune` as its user meets it: real processes, which are interrupted and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.test_cli import call, run_command
from mnist_cnn.cli.tune import parse_duration
from mnist_cnn.config import load_recipe
from mnist_cnn.errors import InputError

SPACE = """
[settings]
"optimizer.learning_rate" = { low = 1e-3, high = 2e-2, log = true }
"model.arguments.filters" = [{ low = 2, high = 6, step = 2 }, 4]
"model.arguments.dense" = { choices = [8, 16] }
"""
TINY = ["--recipe", "conv3", "--dataset", "digits", "--space", "space.toml"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "space.toml").write_text(SPACE)
    return tmp_path


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mnist_cnn", "tune", *words]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would all that it starts, these tests included.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_until(condition: Callable[[], bool], search: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert search.poll() is None, search.communicate()
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def states(record: dict[str, Any]) -> list[str]:
    return [trial["state"] for trial in record["trials"]]


def test_a_search_leaves_a_recipe_that_train_takes(folder: Path) -> None:
    done = run_command("tune", *TINY, "--epochs", "2", "--trials", "3", "--workers", "2", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["tuning"] == str(Path("runs") / "tuning-001")
    assert len(record["trials"]) == 3
    assert set(states(record)) <= {"complete", "pruned"}
    assert "trial   0" in done.stderr
    best = next(trial for trial in record["trials"] if trial["number"] == record["best"])
    assert best["values"] == [max(trial["values"][0] for trial in record["trials"] if trial["values"])]
    recipe = folder / record["recipe"]
    config = load_recipe(str(recipe))
    assert config.model.arguments["filters"] == best["settings"]["model.arguments.filters"]
    assert "validation" in config.expected_accuracy
    words = ["train", "--recipe", str(recipe), "--epochs", "1", "--json"]
    trained = run_command(*words, folder=folder)
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["training"]["parameters"] == best["parameters"]


def test_ctrl_c_keeps_what_is_done_and_resume_goes_on(folder: Path) -> None:
    search = start(folder, *TINY, "--epochs", "25", "--trials", "1", "--json")
    run = folder / "runs" / "tuning-001" / "trials" / "0000"
    wait_until((run / "history.json").exists, search)
    search.send_signal(signal.SIGINT)
    out, error = search.communicate(timeout=120)
    assert search.returncode == 130, error
    record = json.loads(out)
    assert record["interrupted"]
    assert states(record) == ["waiting"]
    assert record["trials"][0]["accuracies"]

    resumed = run_command("tune", "--resume", "runs/tuning-001", "--json", folder=folder)
    assert resumed.returncode == 0, resumed.stderr
    assert states(json.loads(resumed.stdout)) == ["complete"]
    assert (run / "log.txt").read_text().count(" began ") == 1
    assert "resumed" in (run / "log.txt").read_text()


def test_a_killed_search_is_resumed_to_its_own_end(folder: Path) -> None:
    search = start(folder, *TINY, "--epochs", "4", "--trials", "4")
    tuning = folder / "runs" / "tuning-001"
    wait_until((tuning / "trials" / "0001" / "history.json").exists, search)
    os.kill(search.pid, signal.SIGKILL)
    search.communicate()
    done = run_command("tune", "--resume", str(tuning), "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert len(record["trials"]) == 4, "the number that was asked for first"
    assert set(states(record)) <= {"complete", "pruned"}
    assert all((folder / trial["run"] / "log.txt").read_text().count(" began ") == 1 for trial in record["trials"])


def test_time_bounds_the_search_within_a_trial(folder: Path) -> None:
    began = time.monotonic()
    done = run_command("tune", *TINY, "--epochs", "5000", "--time", "12s", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60
    record = json.loads(done.stdout)
    assert states(record) == ["waiting"]
    assert record["recipe"] is None
    assert "No trial has come to its end" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--space", "defalt"], "Did you mean 'default'"),
        (["--objective", "speed"], "there is no objective 'speed'"),
        (["--time", "soon"], "'soon' is no duration"),
        (["--resume", "nowhere"], "is no search"),
        (["--resume", "nowhere", "--epochs", "3"], "training.epochs cannot be changed"),
        (["--join", "study"], "--storage"),
        (["--dataset", "digits", "--storage", "nonsense"], "is no address"),
        (["--dataset", "digits", "--set", "data.validation=0.0"], "leaves nothing to choose by"),
    ],
)
def test_mistakes_cost_nothing_and_are_explained(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = call(capsys, "tune", *words)
    assert code == 2
    assert message in " ".join(error.split())
    assert not list(tmp_path.glob("runs/*"))


def test_durations() -> None:
    assert [parse_duration(text) for text in ("1h30m", "45m", "90s", "0.5h")] == [5400, 2700, 90, 1800]
    for text in ("", "0s", "5", "m5"):
        with pytest.raises(InputError, match="is no duration"):
            parse_duration(text)
