"""`mnist-cnn tune` as its user meets it: real processes, which are interrupted and killed."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from rich.console import Console

from cli.test_cli import call, run_command
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.trials import TrialsView
from mnist_cnn.cli.tune import more_options, parse_duration, settle_limits
from mnist_cnn.config import load_recipe
from mnist_cnn.errors import DivergedError, InputError
from mnist_cnn.tuning.bounds import Limits, save_limits
from mnist_cnn.tuning.results import read_results
from mnist_cnn.tuning.study import open_study
from tuning.small import small_search

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
    done = run_command("tune", *TINY, "--epochs", "5000", "--time", "18s", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 90
    record = json.loads(done.stdout)
    assert states(record) == ["waiting"]
    assert record["recipe"] is None
    assert "No trial is complete yet" in done.stderr

    over = run_command("tune", "--resume", "runs/tuning-001", "--json", folder=folder)
    assert "has used up its time. Give it more with --time" in over.stderr
    assert json.loads(over.stdout)["trials"] == record["trials"]

    longer = run_command("tune", "--resume", "runs/tuning-001", "--time", "18s", "--json", folder=folder)
    assert longer.returncode == 0, longer.stderr
    assert "for at most 0.3 minutes" in longer.stderr
    assert len(json.loads(longer.stdout)["trials"][0]["accuracies"]) > len(record["trials"][0]["accuracies"])


def test_a_session_s_limits_add_to_those_before(tmp_path: Path) -> None:
    folder = small_search(tmp_path)
    folder.save_seconds(1000)
    save_limits(folder, Limits(trials=9, seconds=1800, workers=2))
    assert settle_limits(folder, None, math.inf, None) == Limits(9, 1800, 2), "as before"
    assert settle_limits(folder, None, 60, None) == Limits(math.inf, 1060, 2)
    assert settle_limits(folder, 12, math.inf, 1) == Limits(12, math.inf, 1)


@pytest.mark.parametrize(
    ("limits", "ended", "options"),
    [
        (Limits(seconds=1800), 3, "--time 30m"),
        (Limits(trials=3), 3, "--trials 6"),
        (Limits(trials=9), 3, "--trials 9"),
        (Limits(trials=3, seconds=60), 3, "--trials 6 --time 30m"),
    ],
)
def test_the_way_on_is_of_the_kind_that_was_asked_for(limits: Limits, ended: int, options: str) -> None:
    assert more_options(limits, ended) == options


def test_a_search_that_has_its_trials_already_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    folder = small_search(tmp_path)
    study = open_study(folder)
    study.tell(study.ask(), 0.9)
    monkeypatch.setattr("mnist_cnn.tuning.search.search", lambda folder, *words, **options: read_results(folder))
    monkeypatch.setattr("mnist_cnn.tuning.search_report.write_report", lambda *words: None)
    code, out, _ = call(capsys, "tune", "--resume", str(tmp_path), "--trials", "1")
    assert code == 0
    assert "already has 1 trial. Raise the limit with --trials 2." in out
    code, out, _ = call(capsys, "tune", "--resume", str(tmp_path), "--trials", "5")
    assert "for at most 5 trials." in out
    assert "--trials 5\n" in out


def test_an_address_is_checked_before_the_data(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_cnn.cli.tune.resolve", lambda *words: pytest.fail("the data were looked for"))
    code, _, error = call(capsys, "tune", "--storage", "mysql://x")
    assert code == 2
    assert "is not the address of a PostgreSQL server" in error


def test_a_confirmation_that_fails_takes_nothing_from_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    folder = small_search(tmp_path)
    study = open_study(folder)
    study.tell(study.ask(), 0.9)

    def fail(*words: Any) -> None:
        raise DivergedError("the loss became nan")

    monkeypatch.setattr("mnist_cnn.tuning.search.search", lambda folder, *words, **options: read_results(folder))
    monkeypatch.setattr("mnist_cnn.tuning.search_report.write_report", lambda *words: None)
    monkeypatch.setattr("mnist_cnn.cli.best_trial.confirm_best", fail)
    code, out, error = call(capsys, "tune", "--resume", str(tmp_path), "--confirm", "1", "--json")
    assert code == 1
    assert json.loads(out)["best"] == 0
    assert "NOTE: The best trial could not be confirmed: the loss became nan" in error


def test_the_live_table_shows_what_a_trial_says_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_search(tmp_path)
    study = open_study(folder)
    trial = study.ask()
    trial.set_user_attr("reason", "[/x] of [1, 2]")
    study.tell(trial, state=TrialState.FAIL)
    terminal = Terminal(json_only=False)
    terminal.console = Console(file=io.StringIO(), force_terminal=True, width=200)
    with TrialsView(terminal, Limits(seconds=1800)) as view:
        view.show(read_results(folder))
    shown = terminal.console.file.getvalue()  # type: ignore[attr-defined]
    assert "[/x] of [1, 2]" in shown
    assert "0:00 of 30:00" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--space", "defalt"], "Did you mean 'default'"),
        (["--objective", "speed"], "there is no objective 'speed'"),
        (["--time", "soon"], "'soon' is not a duration"),
        (["--resume", "nowhere"], "is not a search folder"),
        (["--resume", "nowhere", "--epochs", "3"], "training.epochs cannot be changed"),
        (["--join", "study"], "--storage"),
        (["--dataset", "digits", "--storage", "nonsense"], "is not the address"),
        (["--resume", "nowhere", "--pruner", "none"], "--pruner cannot be changed"),
        (["--resume", "nowhere", "--data-dir", "here"], "--data-dir cannot be changed"),
        (["--resume", "nowhere", "--join", "study"], "--join cannot be changed"),
        (["--join", "study", "--seed", "0"], "--seed cannot be changed"),
        (["--join", "study", "--name", "other"], "--name cannot be changed"),
        (["--objective", "accuracy,latency", "--pruner", "median"], "works with one objective"),
        (["--dataset", "digits", "--recipe", "batchnorm", "--confirm", "1"], "holds out no images"),
        (["--dataset", "digits", "--set", "data.validation=0.0"], "leaves no images to choose by"),
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


def test_a_search_in_a_file_is_not_looked_for_on_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    small_search(tmp_path)
    monkeypatch.setenv("MNIST_CNN_STORAGE", "postgresql://me:s3cret@host/db")
    code, _, error = call(capsys, "tune", "--resume", str(tmp_path))
    assert code == 2
    assert "unset MNIST_CNN_STORAGE" in error
    assert "s3cret" not in error


def test_durations() -> None:
    assert [parse_duration(text) for text in ("1h30m", "45m", "90s", "0.5h")] == [5400, 2700, 90, 1800]
    for text in ("", "0s", "5", "m5"):
        with pytest.raises(InputError, match="is not a duration"):
            parse_duration(text)
