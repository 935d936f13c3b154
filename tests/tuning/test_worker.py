"""Trials that train: pruned, failed, interrupted, killed, shared by two processes."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.study import Study, _optimize
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from mnist_cnn.datasets import Dataset, ResolvedDataset, load_dataset
from mnist_cnn.errors import InputError, MnistCnnError
from mnist_cnn.runs import RunFolder, lock_run
from mnist_cnn.tuning import bounds, objective, worker
from mnist_cnn.tuning.bounds import Bounds, write_environment
from mnist_cnn.tuning.handover import BEGUN, FOLDER, PAUSED, PLACE, RETRIES, hand_back_abandoned
from mnist_cnn.tuning.results import StudyResults, TrialResult, read_results
from mnist_cnn.tuning.search_folder import TuningFolder, is_at_work
from mnist_cnn.tuning.study import open_study
from tuning.small import SPACE, small_plan, small_search, worker_command


def digits() -> Dataset:
    return load_dataset("digits")


def start_worker(folder: TuningFolder, until: Bounds) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **write_environment(until, "")}
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
        assert len(trial.accuracies) == 2
        assert trial.kept_epoch is not None
        assert trial.values[0] == trial.accuracies[trial.kept_epoch - 1] == max(trial.accuracies)
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
    assert "keras" not in diverged.reason, "no weights of it are kept"
    assert "--learning-rate" not in diverged.reason
    assert "cannot be built" in unbuildable.reason
    assert fine.state == "complete"
    assert not (diverged.run / "state.npz").exists()


def test_a_trial_that_cannot_begin_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_search(tmp_path)

    def fail(run: RunFolder) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(run.root))

    monkeypatch.setattr(objective, "lock_run", fail)
    worker.work(folder, digits(), Bounds(trials=1))
    assert [trial.state for trial in read_results(folder).trials] == ["failed"]
    assert "No space left on device" in read_results(folder).trials[0].reason


def test_a_search_in_which_everything_fails_ends(tmp_path: Path) -> None:
    space = {"settings": {"model.arguments.kernel": {"low": 40, "high": 50}}}
    folder = small_search(tmp_path, small_plan(space=space))
    with pytest.raises(MnistCnnError, match=r"first 5 trials all failed.*cannot be built"):
        worker.work(folder, digits(), Bounds(trials=50))


def test_an_argument_that_the_architecture_does_not_take_ends_the_search_before_it_begins(tmp_path: Path) -> None:
    space = {"settings": {"model.arguments.depht": {"low": 1, "high": 9}}}
    folder = small_search(tmp_path, small_plan(space=space))
    with pytest.raises(InputError, match=r"takes no argument 'depht'"):
        worker.work(folder, digits(), Bounds(trials=50))
    assert not read_results(folder).trials


@pytest.mark.parametrize("objectives", [("accuracy",), ("accuracy", "parameters")])
def test_networks_over_the_limits_are_not_trained_and_do_not_count(tmp_path: Path, objectives: tuple[str, ...]) -> None:
    space = {"settings": {"model.arguments.dense": {"low": 8, "high": 5000}}, "limits": {"parameters": 20000}}
    folder = small_search(tmp_path, small_plan({"training.epochs": 1}, space, objectives=objectives))
    study = open_study(folder)
    study.enqueue_trial({"model.arguments.dense": 5000})
    study.enqueue_trial({"model.arguments.dense": 9})
    worker.work(folder, digits(), Bounds(trials=2))
    results = read_results(folder)
    assert [(trial.state, trial.too_large) for trial in results.trials[:3]] == [
        ("complete", False), ("pruned", True), ("complete", False)
    ]  # fmt: skip
    assert "parameters are over the limit 20,000" in results.trials[1].reason
    assert not results.trials[1].accuracies
    assert results.ended == 2


def test_a_space_whose_networks_are_all_over_the_limits_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_BARREN", 6)
    folder = small_search(tmp_path, small_plan(space={**SPACE, "limits": {"parameters": 100}}))
    with pytest.raises(MnistCnnError, match=r"the last 6 networks are all over the space's limits.*limit 100"):
        worker.work(folder, digits(), Bounds(trials=2))
    assert read_results(folder).ended == 0


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
    assert [trial.state for trial in read_results(folder).trials] == ["waiting"]


def test_other_data_are_refused(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan(data_checksum="0" * 64))
    with pytest.raises(InputError, match="other training data"):
        worker.work(folder, digits(), Bounds(trials=1))


def _at_once(results: StudyResults) -> bool:
    spans = sorted((trial.began, trial.seconds) for trial in results.trials if trial.began and trial.seconds)
    return any(
        (later - earlier).total_seconds() < seconds for (earlier, seconds), (later, _) in itertools.pairwise(spans)
    )


def begin(study: Study, run: str = "0000") -> optuna.Trial:
    """Leave a trial as a worker does that dies in its first epoch."""
    trial = study.ask()
    for name, value in ((FOLDER, run), (PLACE, "a machine of another name"), (BEGUN, True)):
        trial.set_user_attr(name, value)
    return trial


def pause(study: Study) -> None:
    """Leave a trial as a worker does that Ctrl-C ends."""
    trial = begin(study)
    trial.set_user_attr(PAUSED, True)
    study.tell(trial, state=TrialState.FAIL)


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study.get_trials()]


def test_a_trial_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    folder = small_search(tmp_path)
    study = open_study(folder)
    for _ in range(RETRIES + 1):
        assert study.ask().number < RETRIES + 1, "the waiting one, not a new one"
        hand_back_abandoned(study, folder)
    assert [(trial.state, trial.reason) for trial in read_results(folder).trials] == [
        ("failed", "its workers died again and again")
    ]


def test_pauses_count_as_no_deaths(tmp_path: Path) -> None:
    folder = small_search(tmp_path)
    study = open_study(folder)
    for _ in range(RETRIES + 1):
        pause(study)
        assert [trial.state for trial in read_results(folder).trials] == ["waiting"]
        hand_back_abandoned(study, folder)
    begin(study)
    hand_back_abandoned(study, folder)
    assert states(study) == ["FAIL"] * (RETRIES + 2) + ["WAITING"]


def test_a_dead_worker_s_trial_is_taken_up_whatever_its_machine_was_called(tmp_path: Path) -> None:
    folder = small_search(tmp_path)
    study = open_study(folder)
    begin(study)
    hand_back_abandoned(study, folder)
    assert states(study) == ["FAIL", "WAITING"]
    with lock_run(_made(folder.trial("0000"))):
        begin(study)
        hand_back_abandoned(study, folder)
        assert states(study) == ["FAIL", "RUNNING"], "a living worker's trial is its own"


def test_a_death_between_an_abandoned_trial_s_end_and_its_return_loses_nothing(tmp_path: Path) -> None:
    folder = small_search(tmp_path)
    study = open_study(folder)
    study.tell(begin(study), state=TrialState.FAIL)  # and here the worker that found it dies
    assert [trial.state for trial in read_results(folder).trials] == ["waiting"]
    for _ in range(2):
        hand_back_abandoned(study, folder)
        assert states(study) == ["FAIL", "WAITING"], "once, and once only"


def test_a_trial_is_nobody_s_to_take_between_its_training_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 1}))
    tell = vars(_optimize)["_tell_with_warning"]

    def look_first(*words: Any, **options: Any) -> Any:
        hand_back_abandoned(open_study(folder), folder)
        return tell(*words, **options)

    monkeypatch.setattr(_optimize, "_tell_with_warning", look_first)
    worker.work(folder, digits(), Bounds(trials=1))
    assert states(open_study(folder)) == ["COMPLETE"]
    assert not is_at_work(folder.trial("0000")), "then its folder is let go"


def test_an_outage_costs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 3}))
    report, failures = optuna.Trial.report, iter([False, True])

    def report_or_fail(trial: optuna.Trial, value: float, step: int) -> None:
        try:
            if next(failures, False):
                raise OperationalError("UPDATE", {}, Exception("the server is gone"))
            report(trial, value, step)
        except OperationalError as error:  # as Optuna does
            raise StorageInternalError from error

    monkeypatch.setattr(optuna.Trial, "report", report_or_fail)
    worker.work(folder, digits(), Bounds(trials=1))
    results = read_results(folder)
    assert [(trial.number, trial.state) for trial in results.trials] == [(1, "complete")]
    assert len(results.trials[0].accuracies) == 3
    assert beginnings(results.trials[0]) == 1, "it must have been resumed, not begun again"


def test_a_worker_that_is_told_to_stop_does_so_although_its_trial_was_taken_from_it(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 4}))
    study, history = open_study(folder), folder.trial("0000").history_json

    class UntilAnotherTakesIt(Bounds):
        def in_time(self) -> bool:
            if not history.exists():
                return True
            study.tell(0, state=TrialState.FAIL)
            return False

    worker.work(folder, digits(), UntilAnotherTakesIt())
    assert states(study) == ["FAIL"]


def _made(run: RunFolder) -> RunFolder:
    run.root.mkdir(parents=True)
    return run
