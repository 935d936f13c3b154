"""Trials that train: pruned, failed, interrupted, killed, shared by two processes."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from late import Late
from mnist_cnn.datasets import Dataset, ResolvedDataset, load_dataset
from mnist_cnn.errors import InputError, MnistCnnError
from mnist_cnn.runs import RunFolder, lock_run
from mnist_cnn.tuning.search_folder import TuningFolder, is_at_work
from tuning.small import SPACE, beginnings, small_plan, small_search, start_worker, wait_until

optuna, worker, bounds = Late("optuna"), Late("mnist_cnn.tuning.worker"), Late("mnist_cnn.tuning.bounds")
handover, results, studies = (Late(f"mnist_cnn.tuning.{name}") for name in ("handover", "results", "study"))


def digits() -> Dataset:
    return load_dataset("digits")


def work(folder: TuningFolder, trials: float = 1, in_time: Any = None) -> Any:
    """Take trials in this process, and give the results."""
    limits = bounds.Bounds(trials=trials)
    if in_time:
        limits = type("Turned", (bounds.Bounds,), {"in_time": in_time})(trials=trials)
    worker.work(folder, digits(), limits)
    return results.read_results(folder)


def states(study: Any) -> list[str]:
    return [trial.state.name for trial in study.get_trials()]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The results of a search of two trials and several objectives, in two sessions."""
    plan = small_plan(objectives=("accuracy", "parameters", "multiply_adds", "latency"))
    folder = small_search(tmp_path_factory.mktemp("search"), plan)
    work(folder)
    opened = []

    def note(resolved: ResolvedDataset, split: str) -> Dataset:
        del resolved
        opened.append(split)
        return digits()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResolvedDataset, "load", note)
        for name, value in bounds.write_environment(bounds.Bounds(trials=2), "").items():
            patch.setenv(name, value)
        worker.main(str(folder.root))
    assert opened == ["train"], "the test set is never opened"
    return results.read_results(folder)


def test_trials_train_and_resuming_continues_with_the_next(searched: Any) -> None:
    assert [trial.state for trial in searched.trials] == ["complete", "complete"]
    for trial in searched.trials:
        assert len(trial.accuracies) == 2
        assert trial.kept_epoch is not None
        assert trial.values[0] == trial.accuracies[trial.kept_epoch - 1] == max(trial.accuracies)
        assert 0.05 < trial.values[0] <= 1
        assert trial.values[1:3] == (trial.parameters, trial.multiply_adds)
        assert 0 < trial.values[3] < 100
        assert trial.seconds_per_epoch
        assert trial.cpu_seconds
        assert (trial.run / "model.keras").exists()
    assert searched.trials[0].choices != searched.trials[1].choices


def test_failed_trials_are_recorded_and_the_search_continues(tmp_path: Path) -> None:
    space = {
        "settings": {
            "optimizer.learning_rate": {"choices": [1e-2, 1e30]},
            "model.arguments.kernel": {"choices": [3, 40]},
        }
    }
    folder = small_search(tmp_path, small_plan({"training.epochs": 1}, space))
    study = studies.open_study(folder)
    for rate, kernel in ((1e30, 3), (1e-2, 40), (1e-2, 3)):
        study.enqueue_trial({"optimizer.learning_rate": rate, "model.arguments.kernel": kernel})
    diverged, unbuildable, fine = work(folder, trials=4).trials[1:]
    assert diverged.state == unbuildable.state == "failed"
    assert "the loss became" in diverged.reason or "infinite" in diverged.reason
    assert "keras" not in diverged.reason, "a failed trial keeps no weights"
    assert "--learning-rate" not in diverged.reason
    assert "cannot be built" in unbuildable.reason
    assert fine.state == "complete"
    assert not (diverged.run / "state.npz").exists()


def test_a_trial_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_search(tmp_path)

    def fail(run: RunFolder) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(run.root))

    monkeypatch.setattr("mnist_cnn.tuning.objective.lock_run", fail)
    (trial,) = work(folder).trials
    assert trial.state == "failed"
    assert "No space left on device" in trial.reason


def test_a_search_in_which_everything_fails_stops(tmp_path: Path) -> None:
    space = {"settings": {"model.arguments.kernel": {"low": 40, "high": 50}}}
    folder = small_search(tmp_path, small_plan(space=space))
    with pytest.raises(MnistCnnError, match=r"first 5 trials all failed.*cannot be built"):
        work(folder, trials=50)


def test_an_unknown_argument_or_other_data_stop_the_search_before_its_first_trial(tmp_path: Path) -> None:
    space = {"settings": {"model.arguments.depht": {"low": 1, "high": 9}}}
    folder = small_search(tmp_path / "argument", small_plan(space=space))
    with pytest.raises(InputError, match=r"takes no argument 'depht'"):
        work(folder)
    assert not results.read_results(folder).trials
    with pytest.raises(InputError, match="other training data"):
        work(small_search(tmp_path / "data", small_plan(data_checksum="0" * 64)))


@pytest.mark.slow
def test_networks_over_the_limits_are_not_trained_and_do_not_count(tmp_path: Path) -> None:
    space = {"settings": {"model.arguments.dense": {"low": 8, "high": 5000}}, "limits": {"parameters": 20000}}
    folder = small_search(tmp_path, small_plan({"training.epochs": 1}, space, objectives=("accuracy", "parameters")))
    study = studies.open_study(folder)
    study.enqueue_trial({"model.arguments.dense": 5000})
    study.enqueue_trial({"model.arguments.dense": 9})
    found = work(folder, trials=2)
    assert [(trial.state, trial.too_large) for trial in found.trials[:3]] == [
        ("complete", False), ("pruned", True), ("complete", False)
    ]  # fmt: skip
    assert "parameters are over the limit 20,000" in found.trials[1].reason
    assert found.ended == 2


def test_a_network_is_counted_as_it_is_saved(tmp_path: Path) -> None:
    network = {"model.architecture": "separable", "model.arguments": {"stem": 2, "filters": [3]}, "model.fold": True}
    space = {"settings": {"training.batch_size": {"choices": [64, 128]}}, "limits": {"parameters": 87}}  # 102 before
    (trial,) = work(small_search(tmp_path, small_plan({**network, "training.epochs": 1}, space))).trials
    assert (trial.state, trial.reason) == ("complete", "")


def test_a_space_whose_networks_are_all_over_the_limits_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_cnn.tuning.bounds._BARREN", 6)
    folder = small_search(tmp_path, small_plan(space={**SPACE, "limits": {"parameters": 100}}))
    with pytest.raises(MnistCnnError, match=r"the last 6 networks were all over the limits.*limit 100"):
        work(folder, trials=2)
    assert results.read_results(folder).ended == 0


@pytest.mark.parametrize("pruner", ["median", pytest.param("hyperband", marks=pytest.mark.slow)])
def test_an_unpromising_trial_stops_early(tmp_path: Path, pruner: str) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 6}, pruner=pruner))
    study = studies.open_study(folder)
    for _ in range(12):
        good = study.ask()
        for epoch in range(6):
            good.report(0.999, epoch)
            good.should_prune()  # Hyperband notes here how far a trial has come
        study.tell(good, 0.999)
    trial = next(trial for trial in work(folder, trials=13).trials if trial.run.exists())
    assert trial.state == "pruned"
    assert 1 <= len(trial.accuracies) < 6
    assert f"after epoch {len(trial.accuracies)}" in trial.reason
    assert len(json.loads((trial.run / "history.json").read_text())) == len(trial.accuracies)
    assert not (trial.run / "state.npz").exists()


def test_a_paused_trial_resumes_after_its_last_epoch(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 3}))
    first = folder.trial("0000")
    (waiting,) = work(folder, in_time=lambda _: not first.history_json.exists()).trials
    assert (waiting.state, len(waiting.accuracies)) == ("waiting", 1)
    (trial,) = work(folder).trials
    assert (trial.number, trial.state, trial.run) == (1, "complete", first.root)
    assert trial.choices == waiting.choices
    assert trial.accuracies[:1] == waiting.accuracies
    assert len(trial.accuracies) == 3
    assert beginnings(trial) == 1, "it must have been resumed, not started again"


@pytest.mark.slow
def test_a_killed_worker_s_trial_resumes_after_its_last_epoch(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 60}))
    run = folder.trial("0000")
    process = start_worker(folder, bounds.Bounds(trials=1))
    wait_until(run.history_json.exists)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = len(json.loads(run.history_json.read_text()))
    assert [trial.state for trial in results.read_results(folder).trials] == ["running"]

    past = []

    def three_epochs(_: Any) -> bool:
        past.append(len(json.loads(run.history_json.read_text())))
        return past[-1] < finished + 3

    (trial,) = work(folder, in_time=three_epochs).trials
    assert trial.state == "waiting"
    assert beginnings(trial) == 1
    assert past[0] >= finished, "no finished epoch is trained again"
    assert len(trial.accuracies) == past[-1]


@pytest.mark.slow
def test_two_workers_share_a_study(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 3}))
    workers = [start_worker(folder, bounds.Bounds(trials=7)) for _ in range(2)]
    assert [process.wait(timeout=240) for process in workers] == [0, 0]
    found = results.read_results(folder)
    assert found.ended == len(found.trials) == 7, "never more than requested"
    assert len({trial.run for trial in found.trials}) == 7
    assert all(beginnings(trial) == 1 for trial in found.trials)
    assert len({str(trial.choices) for trial in found.trials}) == 7, "no settings are tried twice"
    spans = sorted((trial.began, trial.seconds) for trial in found.trials)
    overlaps = (
        (later - earlier).total_seconds() < length for (earlier, length), (later, _) in itertools.pairwise(spans)
    )
    assert any(overlaps), "both must have been at work"


@pytest.mark.slow
def test_a_worker_without_its_leader_stops(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 500}))
    process = start_worker(folder, bounds.Bounds(leader=os.getppid()))  # not this process
    assert process.wait(timeout=120) == 0
    assert [trial.state for trial in results.read_results(folder).trials] == ["waiting"]


def begin(study: Any) -> Any:
    """Leave a trial as a worker does that dies in its first epoch."""
    trial = study.ask()
    for name, value in ((handover.FOLDER, "0000"), (handover.PLACE, "another machine"), (handover.BEGUN, True)):
        trial.set_user_attr(name, value)
    return trial


@pytest.fixture
def folder(tmp_path: Path) -> TuningFolder:
    return small_search(tmp_path)


@pytest.fixture
def study(folder: TuningFolder) -> Any:
    return studies.open_study(folder)


def test_a_trial_that_kills_its_workers_is_given_up(folder: TuningFolder, study: Any) -> None:
    for _ in range(handover.RETRIES + 1):
        assert study.ask().number < handover.RETRIES + 1, "the waiting one, not a new one"
        handover.hand_back_abandoned(study, folder)
    assert [(trial.state, trial.reason) for trial in results.read_results(folder).trials] == [
        ("failed", "its workers were killed again and again")
    ]


def test_pauses_do_not_count_as_deaths(folder: TuningFolder, study: Any) -> None:
    for _ in range(handover.RETRIES + 1):
        trial = begin(study)
        trial.set_user_attr(handover.PAUSED, True)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        assert [trial.state for trial in results.read_results(folder).trials] == ["waiting"]
        handover.hand_back_abandoned(study, folder)
    begin(study)
    handover.hand_back_abandoned(study, folder)
    assert states(study) == ["FAIL"] * (handover.RETRIES + 2) + ["WAITING"]


def test_a_dead_worker_s_trial_is_queued_again_but_not_a_living_one_s(folder: TuningFolder, study: Any) -> None:
    begin(study)
    handover.hand_back_abandoned(study, folder)
    assert states(study) == ["FAIL", "WAITING"]
    run = folder.trial("0000")
    run.root.mkdir(parents=True)
    with lock_run(run):
        begin(study)
        handover.hand_back_abandoned(study, folder)
        assert states(study) == ["FAIL", "RUNNING"]


def test_a_death_during_the_handover_loses_no_trial(folder: TuningFolder, study: Any) -> None:
    study.tell(begin(study), state=optuna.trial.TrialState.FAIL)  # and here the worker that found it dies
    assert [trial.state for trial in results.read_results(folder).trials] == ["waiting"]
    for _ in range(2):
        handover.hand_back_abandoned(study, folder)
        assert states(study) == ["FAIL", "WAITING"], "once, and only once"


@pytest.mark.slow
def test_no_worker_takes_a_trial_between_its_training_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 1}))
    after, seen = optuna.samplers.TPESampler.after_trial, []

    def look_first(*words: Any) -> None:  # called before the study learns the trial's end
        seen.extend(states(studies.open_study(folder)))
        handover.hand_back_abandoned(studies.open_study(folder), folder)
        after(*words)

    monkeypatch.setattr(optuna.samplers.TPESampler, "after_trial", look_first)
    work(folder)
    assert seen == ["RUNNING"]
    assert states(studies.open_study(folder)) == ["COMPLETE"]
    assert not is_at_work(folder.trial("0000")), "then its folder is released"


@pytest.mark.slow
def test_an_outage_costs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 3}))
    report, failures = optuna.Trial.report, iter([False, True])
    lost = Late("sqlalchemy.exc").OperationalError

    def report_or_fail(trial: Any, value: float, step: int) -> None:
        try:
            if next(failures, False):
                raise lost("UPDATE", {}, Exception("the server is gone"))
            report(trial, value, step)
        except lost as error:  # as Optuna does
            raise optuna.exceptions.StorageInternalError from error

    monkeypatch.setattr(optuna.Trial, "report", report_or_fail)
    (trial,) = work(folder).trials
    assert (trial.number, trial.state, len(trial.accuracies)) == (1, "complete", 3)
    assert beginnings(trial) == 1, "it must have been resumed, not started again"


@pytest.mark.slow
def test_a_worker_stops_although_its_trial_was_taken_from_it(tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 2}))
    study, history = studies.open_study(folder), folder.trial("0000").history_json

    def until_another_takes_it(_: Any) -> bool:
        if not history.exists():
            return True
        study.tell(0, state=optuna.trial.TrialState.FAIL)
        return False

    work(folder, in_time=until_another_takes_it)
    assert states(study) == ["FAIL"]
