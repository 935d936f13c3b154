"""Several trainings, one after another: in order, repeated, interrupted, killed."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from mnist_cnn.config import save_config
from mnist_cnn.datasets import ResolvedDataset
from mnist_cnn.errors import MnistCnnError, RunFolderError
from mnist_cnn.runs import RunFolder
from mnist_cnn.series.training_jobs import TrainingJob, train_each
from training.tiny import tiny_config
from tuning.small import wait_until


def job(root: Path, seed: int = 0, **settings: Any) -> TrainingJob:
    config = tiny_config({"training.epochs": 2, "training.seed": seed, **settings})
    return TrainingJob(root / f"seed{seed}", config, ResolvedDataset("digits"))


def beginnings(run: Path) -> int:
    return (run / "log.txt").read_text().count(" began ")


def meanwhile(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def train_until_history(run: Path, act: Callable[[psutil.Process], object]) -> threading.Thread:
    """Do something to the process that trains as soon as its first epoch is finished."""

    def wait_and_act() -> None:
        wait_until((run / "history.json").exists)
        act(next(each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())))

    return meanwhile(wait_and_act)


@pytest.mark.slow
def test_jobs_are_trained_in_order_and_never_repeated(tmp_path: Path) -> None:
    jobs, ended = [job(tmp_path, seed) for seed in (1, 0)], []
    for _ in range(2):
        records = train_each(jobs, on_end=lambda each, record: ended.append((each.run.name, record["accuracy"])))
        assert [record["training"]["epochs"] for record in records] == [2, 2]
        assert ended == [(each.run.name, record["accuracy"]) for each, record in zip(jobs, records, strict=True)]
        ended.clear()
    assert [beginnings(each.run) for each in jobs] == [1, 1]
    assert all((each.run / "report.html").exists() for each in jobs)


@pytest.mark.slow
def test_a_killed_process_is_replaced(tmp_path: Path) -> None:
    wanted = job(tmp_path, **{"training.epochs": 30})
    killer = train_until_history(wanted.run, lambda process: process.kill())
    (record,) = train_each([wanted])
    killer.join()
    assert record["training"]["epochs"] == 30
    assert beginnings(wanted.run) == 1
    assert "resumed" in (wanted.run / "log.txt").read_text()


@pytest.mark.slow
def test_ctrl_c_keeps_the_finished_epochs(tmp_path: Path) -> None:
    wanted = job(tmp_path, **{"training.epochs": 5000})

    def interrupt() -> None:
        wait_until((wanted.run / "history.json").exists)
        os.kill(os.getpid(), signal.SIGINT)

    user = meanwhile(interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_each([wanted])
    user.join()
    finished = json.loads((wanted.run / "history.json").read_text())
    assert 1 <= len(finished) < 5000
    assert RunFolder(wanted.run).state.exists()
    assert "interrupted" in (wanted.run / "log.txt").read_text(), "it could save its work"


def test_a_folder_with_other_settings_is_refused(tmp_path: Path) -> None:
    wanted, other = job(tmp_path), job(tmp_path, **{"training.epochs": 3})
    wanted.run.mkdir()
    save_config(RunFolder(wanted.run).config, other.config)
    with pytest.raises(RunFolderError, match="seed0 was begun with other settings"):
        train_each([wanted])


@pytest.mark.slow
def test_a_training_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(MnistCnnError, match=r"seed0 could not be trained: .*kernel"):
        train_each([job(tmp_path, **{"model.arguments.kernel": 40})])
