"""Trials that train: pruned, failed, interrupted, killed, shared by two processes."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from mnist_cnn.datasets import Dataset, ResolvedDataset, load_dataset
from mnist_cnn.errors import InputError, MnistCnnError
from mnist_cnn.tuning import worker
from mnist_cnn.tuning.bounds import Bounds, write_environment
from mnist_cnn.tuning.folder import TuningFolder
from mnist_cnn.tuning.results import StudyResults, TrialResult, read_results
from mnist_cnn.tuning.storage import RETRIES, hand_back_abandoned
from mnist_cnn.tuning.study import open_study
from tuning.small import SPACE, small_plan, small_search, worker_command


def digits() -> Dataset:
    return load_dataset("digits")


def start_worker(folder: TuningFolder, bounds: Bounds) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **write_environment(bounds, "")}
    return subprocess.Popen(worker_command(folder), env=environment, stderr=subprocess.DEVNULL)


def wait_until(condition: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def beginnings(trial: TrialResult) -> int:
    return len(re.findall(" began ", (trial.run / "log.txt").read_text()))


def test_trials_train_and_resuming_goes_on_with_the_next(tmp_path: Path) -> None:
    folder = small_search(tmp_path)
    worker.work(folder, digits(), Bounds(trials=1))
    worker.work(folder, digits(), Bounds(trials=2))
    results = read_results(folder)
    assert [trial.state for trial in results.trials] == ["complete", "complete"]
    for trial in results.trials:
        assert trial.values == trial.accuracies[-1:] or max(trial.accuracies) == trial.values[0]
        assert len(trial.accuracies) == 2
        assert 0.05 < trial.values[0] <= 1
        assert trial.parameters
        assert trial.multiply_adds
        assert trial.seconds_per_epoch
        assert trial.cpu_seconds
        assert (trial.run / "model.keras").exists()
    assert results.trials[0].choices != results.trials[1].choices


def test_the_test_set_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_search(tmp_path)
    opened = []

    def note(resolved: ResolvedDataset, split: str) -> Dataset:
        del resolved
        opened.append(split)
        return digits()

    monkeypatch.setattr(ResolvedDataset, "load", note)
    for name, value in write_environment(Bounds(trials=1), "").items():
        monkeypatch.setenv(name, value)
    worker.main(str(folder.root))
    assert opened == ["train"]
    assert read_results(folder).ended == 1


def test_failing_trials_are_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    space = {
        "settings": {
            "optimizer.learning_rate": {"choices": [1e-2, 1e30]},
            "model.arguments.kernel": {"choices": [3, 40]},
        }
    }
    folder = small_search(tmp_path, small_plan(space=space))
    study = open_study(folder)
    study.enqueue_trial({"optimizer.learning_rate": 1e30, "model.arguments.kernel": 3})
    study.enqueue_trial({"optimizer.learning_rate": 1e-2, "model.arguments.kernel": 40})
    study.enqueue_trial({"optimizer.learning_rate": 1e-2, "model.arguments.kernel": 3})
    worker.work(folder, digits(), Bounds(trials=4))
    diverged, unbuildable, fine = read_results(folder).trials[1:]
    assert diverged.state == unbuildable.state == "failed"
    assert "the loss became" in diverged.reason or "infinite" in diverged.reason
    assert "cannot be built" in unbuildable.reason
    assert fine.state == "complete"
    assert not (diverged.run / "state.npz").exists()


def test_a_search_in_which_everything_fails_ends(tmp_path: Path) -> None:
    space = {"settings": {"model.arguments.depht": {"low": 1, "high": 9}}}
    folder = small_search(tmp_path, small_plan(space=space))
    with pytest.raises(MnistCnnError, match=r"first 5 trials all failed.*takes no argument 'depht'"):
        worker.work(folder, digits(), Bounds(trials=50))


@pytest.mark.parametrize("objectives", [("accuracy",), ("accuracy", "parameters")])
def test_networks_over_the_limits_are_not_trained(tmp_path: Path, objectives: tuple[str, ...]) -> None:
    space = {**SPACE, "limits": {"parameters": 100}}
    folder = small_search(tmp_path, small_plan(space=space, objectives=objectives))
    worker.work(folder, digits(), Bounds(trials=12))  # the sampler draws at random at first, and learns after 10
    for trial in read_results(folder).trials:
        assert trial.state == "pruned"
        assert "parameters are over the limit 100" in trial.reason
        assert not trial.accuracies


@pytest.mark.parametrize("pruner", ["median", "hyperband", "none"])
def test_a_hopeless_trial_stops_early(tmp_path: Path, pruner: Any) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 6}, pruner=pruner))
    study = open_study(folder)
    for _ in range(12):
        good = study.ask()
        for epoch in range(6):
            good.report(0.999, epoch)
            good.should_prune()  # Hyperband notes here how far a trial has come
        study.tell(good, 0.999)
    worker.work(folder, digits(), Bounds(trials=13))
    trial = next(trial for trial in read_results(folder).trials if trial.run.exists())
    if pruner == "none":
        assert (trial.state, len(trial.accuracies)) == ("complete", 6)
        return
    assert trial.state == "pruned"
    assert 1 <= len(trial.accuracies) < 6
    assert f"after epoch {len(trial.accuracies)}" in trial.reason
    assert len(json.loads((trial.run / "history.json").read_text())) == len(trial.accuracies)
    assert not (trial.run / "state.npz").exists()


def test_several_objectives_are_measured(tmp_path: Path) -> None:
    plan = small_plan({"training.epochs": 1}, objectives=("accuracy", "parameters", "multiply_adds", "latency"))
    folder = small_search(tmp_path, plan)
    worker.work(folder, digits(), Bounds(trials=2))
    for trial in read_results(folder).trials:
        accuracy, parameters, multiply_adds, latency = trial.values
        assert accuracy == trial.accuracies[-1]
        assert (parameters, multiply_adds) == (trial.parameters, trial.multiply_adds)
        assert 0 < latency < 100


def test_a_trial_that_was_told_to_stop_is_taken_up_again_from_its_last_epoch(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 4}))
    first = folder.trial("0000")

    class UntilTheSecondEpoch(Bounds):
        def in_time(self) -> bool:
            return not first.history_json.exists()

    worker.work(folder, digits(), UntilTheSecondEpoch())
    waiting = read_results(folder).trials
    assert [trial.state for trial in waiting] == ["waiting"]
    assert len(waiting[0].accuracies) == 1
    worker.work(folder, digits(), Bounds(trials=1))
    results = read_results(folder)
    assert [(trial.number, trial.state) for trial in results.trials] == [(1, "complete")]
    assert results.trials[0].choices == waiting[0].choices
    assert results.trials[0].run == first.root
    assert results.trials[0].accuracies[:1] == waiting[0].accuracies
    assert len(results.trials[0].accuracies) == 4
    assert beginnings(results.trials[0]) == 1, "it must have been resumed, not begun again"


def test_a_killed_worker_s_trial_is_taken_up_again(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 60}))
    run = folder.trial("0000")
    process = start_worker(folder, Bounds(trials=1))
    wait_until(run.history_json.exists)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = len(json.loads(run.history_json.read_text()))
    assert [trial.state for trial in read_results(folder).trials] == ["running"]

    past = []

    class ThreeEpochs(Bounds):
        def in_time(self) -> bool:
            past.append(len(json.loads(run.history_json.read_text())))
            return past[-1] < finished + 3

    worker.work(folder, digits(), ThreeEpochs(trials=1))
    results = read_results(folder)
    assert [trial.state for trial in results.trials] == ["waiting"]
    assert beginnings(results.trials[0]) == 1
    assert past[0] >= finished, "no finished epoch is trained again"
    assert len(results.trials[0].accuracies) == past[-1]


def test_two_workers_share_a_study(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 3}))
    workers = [start_worker(folder, Bounds(trials=7)) for _ in range(2)]
    assert [process.wait(timeout=240) for process in workers] == [0, 0]
    results = read_results(folder)
    assert results.ended == len(results.trials) == 7, "never more than asked for"
    assert len({trial.run for trial in results.trials}) == 7
    assert all(beginnings(trial) == 1 for trial in results.trials)
    assert len({str(trial.choices) for trial in results.trials}) == 7, "no settings are tried twice"
    assert _at_once(results), "both must have been at work"


def test_a_worker_whose_leader_is_gone_ends(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 500}))
    process = start_worker(folder, Bounds(leader=os.getppid()))  # not this process
    assert process.wait(timeout=120) == 0


def test_other_data_are_refused(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan(data_checksum="0" * 64))
    with pytest.raises(InputError, match="other training data"):
        worker.work(folder, digits(), Bounds(trials=1))


def _at_once(results: StudyResults) -> bool:
    spans = sorted((trial.began, trial.seconds) for trial in results.trials if trial.began and trial.seconds)
    return any(
        (later - earlier).total_seconds() < seconds for (earlier, seconds), (later, _) in itertools.pairwise(spans)
    )


def test_a_trial_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    folder = small_search(tmp_path)
    study = open_study(folder)
    for _ in range(RETRIES + 1):
        assert study.ask().number < RETRIES + 1, "the waiting one, not a new one"
        hand_back_abandoned(study, folder)
    assert [(trial.state, trial.reason) for trial in read_results(folder).trials] == [
        ("failed", "its workers died again and again")
    ]
