"""`mnist-cnn tune`: messages and limits; in real processes, which are interrupted and killed, when marked as slow."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.commands import call, run_command, start
from mnist_cnn.errors import DivergedError, InputError

if TYPE_CHECKING:
    from mnist_cnn.tuning.search_folder import TuningFolder

SPACE = """
[settings]
"optimizer.learning_rate" = { low = 1e-3, high = 2e-2, log = true }
"model.arguments.filters" = [{ low = 2, high = 6, step = 2 }, 4]
"model.arguments.dense" = { choices = [8, 16] }
"""
TINY = ["tune", "--recipe", "conv3", "--dataset", "digits", "--space", "space.toml"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "space.toml").write_text(SPACE)
    return tmp_path


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TuningFolder:
    """A search of one complete trial, that does nothing when it is resumed."""
    from mnist_cnn.tuning.results import read_results
    from mnist_cnn.tuning.study import open_study
    from tuning.small import small_search

    search = small_search(tmp_path)
    study = open_study(search)
    study.tell(study.ask(), 0.9)
    monkeypatch.setattr("mnist_cnn.tuning.search.search", lambda folder, *words, **options: read_results(folder))
    monkeypatch.setattr("mnist_cnn.tuning.search_report.write_report", lambda *words: None)
    return search


def wait_until(condition: Callable[[], bool], search: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert search.poll() is None, search.communicate()
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def states(record: dict[str, Any]) -> list[str]:
    return [trial["state"] for trial in record["trials"]]


@pytest.mark.slow
def test_a_search_leaves_a_recipe_that_train_accepts(folder: Path) -> None:
    done = run_command(*TINY, "--epochs", "2", "--trials", "3", "--workers", "2", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["tuning"] == str(Path("runs") / "tuning-001")
    assert len(record["trials"]) == 3
    assert set(states(record)) <= {"complete", "pruned"}
    assert "trial   0" in done.stderr
    best = next(trial for trial in record["trials"] if trial["number"] == record["best"])
    trained = run_command("train", "--recipe", record["recipe"], "--epochs", "1", "--json", folder=folder)
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["training"]["parameters"] == best["parameters"]


@pytest.mark.slow
def test_ctrl_c_keeps_the_results_and_resume_continues(folder: Path) -> None:
    search = start(*TINY, "--epochs", "25", "--trials", "1", "--json", folder=folder)
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


@pytest.mark.slow
def test_a_killed_search_is_resumed_up_to_its_own_limit(folder: Path) -> None:
    search = start(*TINY, "--epochs", "4", "--trials", "4", folder=folder)
    tuning = folder / "runs" / "tuning-001"
    wait_until((tuning / "trials" / "0001" / "history.json").exists, search)
    os.kill(search.pid, signal.SIGKILL)
    search.communicate()
    done = run_command("tune", "--resume", tuning, "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert len(record["trials"]) == 4
    assert set(states(record)) <= {"complete", "pruned"}
    assert all((folder / trial["run"] / "log.txt").read_text().count(" began ") == 1 for trial in record["trials"])


@pytest.mark.slow
def test_time_ends_the_search_within_a_trial(folder: Path) -> None:
    began = time.monotonic()
    done = run_command(*TINY, "--epochs", "5000", "--time", "18s", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 90
    record = json.loads(done.stdout)
    assert states(record) == ["waiting"]
    assert record["recipe"] is None
    assert "No trial is complete yet" in done.stderr

    over = run_command("tune", "--resume", "runs/tuning-001", "--json", folder=folder)
    assert "has used up its time. Give it more with --time" in over.stderr
    assert json.loads(over.stdout)["trials"] == record["trials"]


def test_limits_of_a_session_add_to_those_before(tmp_path: Path) -> None:
    from mnist_cnn.cli.tune import settle_limits
    from mnist_cnn.tuning.bounds import Limits, save_limits
    from tuning.small import small_search

    folder = small_search(tmp_path)
    folder.save_seconds(1000)
    save_limits(folder, Limits(trials=9, seconds=1800, workers=2))
    assert settle_limits(folder, None, math.inf, None) == Limits(9, 1800, 2), "as before"
    assert settle_limits(folder, None, 60, None) == Limits(math.inf, 1060, 2)
    assert settle_limits(folder, 12, math.inf, 1) == Limits(12, math.inf, 1)


@pytest.mark.parametrize(
    ("limits", "options"),
    [
        ({"seconds": 1800}, "--time 30m"),
        ({"trials": 3}, "--trials 6"),
        ({"trials": 9}, "--trials 9"),
        ({"trials": 3, "seconds": 60}, "--trials 6 --time 30m"),
    ],
)
def test_the_options_that_continue_raise_the_limit_that_was_given(limits: dict[str, Any], options: str) -> None:
    from mnist_cnn.cli.tune import more_options
    from mnist_cnn.tuning.bounds import Limits

    assert more_options(Limits(**limits), 3) == options


def test_a_search_that_already_has_its_trials_says_so(searched: TuningFolder, capsys: Any) -> None:
    code, out, _ = call(capsys, "tune", "--resume", searched.root, "--trials", "1")
    assert code == 0
    assert "1 trial" in out.splitlines()[0]
    assert "--trials 2." in out.splitlines()[0]
    code, out, _ = call(capsys, "tune", "--resume", searched.root, "--trials", "5")
    assert "for at most 5 trials" in out
    assert "--trials 5\n" in out


def test_a_failed_confirmation_keeps_the_results(
    searched: TuningFolder, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fail(*words: Any) -> None:
        raise DivergedError("the loss became nan")

    monkeypatch.setattr("mnist_cnn.cli.best_trial.confirm_best", fail)
    code, out, error = call(capsys, "tune", "--resume", searched.root, "--confirm", "1", "--json")
    assert code == 1
    assert json.loads(out)["best"] == 0
    assert "NOTE: The best trial could not be confirmed: the loss became nan" in error


@pytest.mark.parametrize("found", [None, "/usr/bin/optuna-dashboard"])
def test_only_a_dashboard_that_is_installed_is_recommended(
    found: str | None, searched: TuningFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: found)
    _, out, _ = call(capsys, "tune", "--resume", searched.root, "--trials", "1")
    assert "continue:" in out
    assert ("optuna-dashboard" in out) == bool(found)


def test_the_live_table_shows_text_unchanged(tmp_path: Path) -> None:
    from optuna.trial import TrialState
    from rich.console import Console

    from mnist_cnn.cli.terminal import Terminal
    from mnist_cnn.cli.trials import TrialsView
    from mnist_cnn.tuning.bounds import Limits
    from mnist_cnn.tuning.results import read_results
    from mnist_cnn.tuning.study import open_study
    from tuning.small import small_search

    folder = small_search(tmp_path)
    study = open_study(folder)
    trial = study.ask()
    trial.set_user_attr("reason", "[/x] of [1, 2]")
    study.tell(trial, state=TrialState.FAIL)
    terminal, screen = Terminal(json_only=False), io.StringIO()
    terminal.console = Console(file=screen, force_terminal=True, width=200)
    with TrialsView(terminal, Limits(seconds=1799.7)) as view:
        view.show(read_results(folder))
    assert "[/x] of [1, 2]" in screen.getvalue()
    assert "0:00 of 30:00" in screen.getvalue()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--space", "defalt"], "Did you mean 'default'"),
        (["--objective", "speed"], "'speed'"),
        (["--time", "soon"], "'soon' is not a duration"),
        (["--storage", "mysql://x"], "postgresql://"),
        (["--join", "study"], "--storage"),
        (["--join", "study", "--seed", "0"], "--seed cannot be changed"),
        (["--resume", "nowhere"], "nowhere"),
        (["--resume", "nowhere", "--epochs", "3"], "training.epochs cannot be changed"),
        (["--resume", "nowhere", "--pruner", "none"], "--pruner cannot be changed"),
        (["--resume", "nowhere", "--join", "study"], "--join cannot be changed"),
        (["--objective", "accuracy,latency", "--pruner", "median"], "one objective"),
        (["--dataset", "digits", "--recipe", "batchnorm", "--confirm", "1"], "holds out no images"),
        (["--dataset", "digits", "--set", "data.validation=0.0"], "leaves no images to choose by"),
    ],
)
def test_an_invalid_call_is_explained_and_leaves_nothing(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    if "digits" not in words:
        monkeypatch.setattr("mnist_cnn.cli.tune.resolve", lambda *words: pytest.fail("the data were resolved"))
    code, _, error = call(capsys, "tune", *words)
    assert code == 2
    assert message in " ".join(error.split())
    assert not list(tmp_path.glob("runs/*"))


def test_a_search_in_a_file_is_not_looked_up_on_a_server(
    searched: TuningFolder, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("MNIST_CNN_STORAGE", "postgresql://me:s3cret@host/db")
    code, _, error = call(capsys, "tune", "--resume", searched.root)
    assert code == 2
    assert "unset MNIST_CNN_STORAGE" in error
    assert "s3cret" not in error


def test_durations() -> None:
    from mnist_cnn.cli.tune import parse_duration

    assert [parse_duration(text) for text in ("1h30m", "45m", "90s", "0.5h")] == [5400, 2700, 90, 1800]
    for text in ("", "0s", "5", "m5"):
        with pytest.raises(InputError, match="is not a duration"):
            parse_duration(text)
