"""Several trainings as tasks of a real Ray: shared folders, killed workers, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from mnist_cnn.runs import RunFolder
from mnist_cnn.series.training_jobs import train_each
from ray_cluster import MARKS, find_workers, kill_worker, two_machines
from series.test_training_jobs import beginnings, job, meanwhile
from tuning.small import wait_until

pytestmark = MARKS


@pytest.fixture(scope="module")
def address() -> object:
    with two_machines() as address:
        yield address


def test_two_machines_train_at_the_same_time_and_a_killed_worker_is_replaced(address: str, tmp_path: Path) -> None:
    jobs = [job(tmp_path, seed, **{"training.epochs": 20}) for seed in (1, 0)]

    def kill_one() -> None:
        wait_until(lambda: all((each.run / "history.json").exists() for each in jobs), 400)
        kill_worker("attempt")

    killer = meanwhile(kill_one)
    records = train_each(jobs, address)
    killer.join()
    assert [record["training"]["epochs"] for record in records] == [20, 20]
    assert [beginnings(each.run) for each in jobs] == [1, 1]
    logs = [(each.run / "log.txt").read_text() for each in jobs]
    assert sum("resumed" in log for log in logs) == 1
    for each in jobs:
        epochs = [row["epoch"] for row in json.loads((each.run / "history.json").read_text())]
        assert epochs == list(range(1, 21)), "each epoch is trained once"
    assert train_each(jobs) == records, "the same jobs without Ray have nothing to do"
    assert not list(tmp_path.glob(".ray*"))


def test_ctrl_c_keeps_the_finished_epochs(address: str, tmp_path: Path) -> None:
    wanted = job(tmp_path, **{"training.epochs": 2000})

    def press() -> None:
        wait_until((wanted.run / "history.json").exists, 400)
        os.kill(os.getpid(), signal.SIGINT)

    user = meanwhile(press)
    with pytest.raises(KeyboardInterrupt):
        train_each([wanted], address)
    user.join()
    assert RunFolder(wanted.run).state.exists()
    assert "interrupted" in (wanted.run / "log.txt").read_text(), "it could save its work"
    assert not find_workers("attempt")
