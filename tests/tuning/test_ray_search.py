"""A search on a real Ray: two machines, killed workers, sessions with and without Ray."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.commands import start
from late import Late
from mnist_cnn.cluster.connection import connected
from mnist_cnn.runs import RunFolder
from mnist_cnn.tuning.search_folder import TuningFolder, is_at_work
from ray_cluster import MARKS, kill_worker, two_machines
from tuning.small import beginnings, small_plan, small_search, wait_until

pytestmark = MARKS
bounds, search = Late("mnist_cnn.tuning.bounds"), Late("mnist_cnn.tuning.search")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with two_machines() as address:
        yield address


def histories(folder: TuningFolder) -> list[Path]:
    return list(folder.root.glob("trials/*/history.json"))


def test_the_trial_of_a_killed_worker_continues_and_counts_once(address: str, tmp_path: Path) -> None:
    folder = small_search(tmp_path, small_plan({"training.epochs": 20}, pruner="none"))

    def kill_one() -> None:
        wait_until(lambda: len(histories(folder)) >= 2, 400)
        kill_worker("attempt")

    killer = threading.Thread(target=kill_one)
    killer.start()
    with connected(address) as head:
        found = search.search(folder, bounds.Limits(trials=3), ray_head=head)
    killer.join()
    assert [trial.state for trial in found.trials] == ["complete"] * 3, "never more than requested"
    assert found.ended == 3
    assert len({trial.run for trial in found.trials}) == 3
    for trial in found.trials:
        assert beginnings(trial) == 1, "no trial starts again"
        epochs = [row["epoch"] for row in json.loads((trial.run / "history.json").read_text())]
        assert epochs == list(range(1, 21)), "each epoch is trained once"
    logs = [(trial.run / "log.txt").read_text() for trial in found.trials]
    assert sum("resumed" in log for log in logs) == 1
    assert not list(folder.root.glob(".ray*"))


@pytest.mark.timeout(1800)
def test_sessions_with_and_without_ray_continue_each_other(address: str, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text('[settings]\n"model.arguments.dense" = { low = 8, high = 16 }\n')
    tiny = ["--recipe", "conv3", "--dataset", "digits", "--space", "space.toml", "--epochs", "400", "--pruner", "none"]
    tuning = tmp_path / "runs" / "tuning-001"
    run = tuning / "trials" / "0000"
    resume = ("tune", "--resume", tuning, "--json")

    def epochs() -> int:
        history = run / "history.json"
        return len(json.loads(history.read_text())) if history.exists() else 0

    def leave(number: int, *words: Any) -> str:
        """Send a session a signal after another epoch, and give what it printed."""
        before = epochs()
        with start(*words, folder=tmp_path) as session:
            try:
                wait_until(lambda: epochs() > before or session.poll() is not None, 400)
                session.send_signal(number)
                out, error = session.communicate(timeout=200)
            except BaseException:
                session.kill()  # or leaving the block would wait for it
                raise
        assert session.returncode in (130, -signal.SIGKILL), error
        return out

    def states(text: str) -> list[str]:
        return [trial["state"] for trial in json.loads(text)["trials"]]

    assert states(leave(signal.SIGINT, "tune", *tiny, "--trials", "1", f"--ray={address}", "--json")) == ["waiting"]
    assert states(leave(signal.SIGINT, *resume)) == ["waiting"]
    leave(signal.SIGKILL, *resume, f"--ray={address}")
    finished = epochs()
    wait_until(lambda: not is_at_work(RunFolder(run)))  # Ray ends the tasks of a dead leader
    assert states(leave(signal.SIGINT, *resume)) == ["waiting"]
    rows = json.loads((run / "history.json").read_text())
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > finished
    log = (run / "log.txt").read_text()
    assert (log.count(" began "), log.count("resumed")) == (1, 3)
    assert [path.name for path in run.parent.iterdir()] == ["0000"], "the trial was never begun again"
