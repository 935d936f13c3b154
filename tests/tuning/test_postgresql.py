"""A study that machines share in PostgreSQL: a real server, workers in folders of their own, killed and cut off."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

pytest.importorskip("psycopg", reason="POSTGRESQL NOT TESTED: pip install '.[postgresql]'")

from cli.commands import run_command
from mnist_cnn.datasets import load_dataset
from mnist_cnn.errors import InputError
from mnist_cnn.tuning import storage, worker
from mnist_cnn.tuning.bounds import Bounds, write_environment
from mnist_cnn.tuning.handover import BEGUN, PLACE, hand_back_abandoned
from mnist_cnn.tuning.results import StudyResults, read_results
from mnist_cnn.tuning.search_folder import TuningFolder
from mnist_cnn.tuning.storage import claim_study
from mnist_cnn.tuning.study import create_study, find_plan, join_study, open_study
from tuning.postgresql import PASSWORD, Server, run_server
from tuning.small import small_plan, worker_command

LOCAL = {"dataset": "digits", "data_dir": None}
QUIET = 1  # seconds between two signs of life; four missed ones are death


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_server() as running:
        yield running


def two_machines(root: Path, server: Server, name: str, epochs: int) -> tuple[TuningFolder, TuningFolder]:
    """Begin a study in one folder and join it from another."""
    first, second = TuningFolder(root / "first"), TuningFolder(root / "second")
    for folder in (first, second):
        folder.root.mkdir()
    create_study(small_plan({"training.epochs": epochs}, name=name, heartbeat=QUIET), first, server.url, LOCAL)
    join_study(find_plan(name, second, server.url), second, server.url, LOCAL)
    return first, second


def start_worker(folder: TuningFolder, server: Server, trials: int) -> subprocess.Popen[bytes]:
    told = write_environment(Bounds(trials=trials), server.url)
    with folder.worker_log(0).open("ab") as log:
        return subprocess.Popen(
            worker_command(folder), env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **told}, stdout=log, stderr=log
        )


def wait_until(condition: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def work_until(folder: TuningFolder, server: Server, condition: Callable[[StudyResults], bool]) -> StudyResults:
    """Look for work again and again, as a machine does that has more trials to run."""
    digits = load_dataset("digits")

    def has_happened() -> bool:
        worker.work(folder, digits, Bounds(trials=1), server.url)
        return condition(read_results(folder, server.url))

    wait_until(has_happened)
    return read_results(folder, server.url)


def trained(*folders: TuningFolder) -> list[str]:
    """Give the names of all runs that were begun, in any folder."""
    return [path.name for folder in folders for path in (folder.root / "trials").iterdir()]


def assert_no_password(*roots: Path) -> None:
    for root in roots:
        for path in root.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert PASSWORD.encode() not in content, path
            assert b"s3cret" not in content, path


def test_two_machines_never_run_the_same_trial(tmp_path: Path, server: Server) -> None:
    folders = two_machines(tmp_path, server, "shared", epochs=2)
    workers = [start_worker(folder, server, trials=8) for folder in folders]
    assert [process.wait(timeout=240) for process in workers] == [0, 0]
    results = read_results(folders[0], server.url)
    numbers = [trial.number for trial in results.trials]
    assert len(numbers) == 8, "never more than asked for"
    assert {trial.state for trial in results.trials} <= {"complete", "pruned"}
    assert sorted(trained(*folders)) == [f"{number:04d}" for number in numbers], "each was trained once, somewhere"
    assert all(trained(folder) for folder in folders), "both must have been at work"
    assert len({str(trial.choices) for trial in results.trials}) == len(numbers)
    assert_no_password(tmp_path)


def test_a_killed_machine_s_trial_is_taken_up_again(tmp_path: Path, server: Server) -> None:
    first, second = two_machines(tmp_path, server, "killed", epochs=40)
    process = start_worker(first, server, trials=1)
    wait_until(first.trial("0000").history_json.exists)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = read_results(second, server.url)
    assert [trial.state for trial in before.trials] == ["running"]
    results = work_until(second, server, lambda results: results.ended > 0)
    assert [(trial.number, trial.state) for trial in results.trials] == [(1, "complete")]
    assert results.trials[0].choices == before.trials[0].choices
    assert trained(second) == ["0001"]


def test_a_machine_that_was_cut_off_does_not_count_twice(tmp_path: Path, server: Server) -> None:
    first, second = two_machines(tmp_path, server, "asleep", epochs=40)
    process = start_worker(first, server, trials=1)
    wait_until(first.trial("0000").history_json.exists)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        results = work_until(second, server, lambda results: results.ended > 0)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert process.wait(timeout=120) == 0, first.worker_log(0).read_text()
    after = read_results(second, server.url)
    assert after.trials == results.trials, "what the other machine did stays"
    assert [trial.state for trial in after.trials] == ["complete"]


def test_a_machine_that_died_while_it_began_a_trial_leaves_it_to_the_next(tmp_path: Path, server: Server) -> None:
    first, second = two_machines(tmp_path, server, "begun", epochs=1)
    open_study(first, server.url).ask()  # it gave no sign of life yet
    study = open_study(second, server.url)
    with claim_study(second, server.url, "begun"):
        hand_back_abandoned(study, second)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "WAITING"]


def test_a_machine_takes_no_trial_that_another_one_works_at(tmp_path: Path, server: Server) -> None:
    """Not even one that was its own before."""
    first, second = two_machines(tmp_path, server, "inherited", epochs=1)
    study = open_study(first, server.url)
    for folder in (first, second):
        trial = study.ask()
        trial.set_user_attr(PLACE, folder.place)
        trial.set_user_attr(BEGUN, True)
        hand_back_abandoned(study, first)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "RUNNING"]


def test_the_claim_is_one_machine_s_until_it_is_given_back_or_frozen(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_FROZEN", 2)
    folder = TuningFolder(tmp_path)
    with claim_study(folder, server.url, "other"), claim_study(folder, server.url, "claimed"):
        pass  # each study has its own
    began = time.monotonic()
    frozen, other = (claim_study(folder, server.url, "claimed") for _ in range(2))
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="idle-in-transaction"), frozen, other:
        assert 1 < time.monotonic() - began < 30


def test_a_failed_sign_of_life_is_not_the_last(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = two_machines(tmp_path, server, "outlived", epochs=1)
    study = open_study(folder, server.url)
    record, failures = RDBStorage.record_heartbeat, iter([True])

    def record_or_fail(self: RDBStorage, trial_id: int) -> None:
        if next(failures, False):
            raise StorageInternalError
        record(self, trial_id)

    monkeypatch.setattr(RDBStorage, "record_heartbeat", record_or_fail)

    def wait(trial: optuna.Trial) -> float:
        time.sleep(2.5 * QUIET)
        return 0.5

    study.optimize(wait, n_trials=1)
    with sqlalchemy.create_engine(server.url).connect() as connection:
        assert (
            connection.scalar(
                sqlalchemy.text(
                    "SELECT count(*) FROM trial_heartbeats WHERE trial_id = (SELECT max(trial_id) FROM trials)"
                )
            )
            == 1
        )


def test_the_command_shares_a_study(tmp_path: Path, server: Server) -> None:
    (tmp_path / "space.toml").write_text('[settings]\n"model.arguments.dense" = { low = 8, high = 16 }\n')
    tiny = ["--recipe", "conv3", "--dataset", "digits", "--space", "space.toml", "--epochs", "1", "--name", "command"]
    begun = run_command("tune", *tiny, "--trials", "1", "--storage", server.url, "--json", folder=tmp_path)
    assert begun.returncode == 0, begun.stderr
    again = run_command("tune", *tiny, "--trials", "1", "--storage", server.url, folder=tmp_path)
    assert again.returncode == 2
    assert "there is a study 'command' in postgresql://postgres@127.0.0.1" in again.stderr
    unknown = run_command("tune", "--join", "comand", "--storage", server.url, folder=tmp_path)
    assert unknown.returncode == 2
    assert "there is no study 'comand'" in unknown.stderr
    joined = run_command(
        "tune", "--join", "command", "--trials", "2", "--storage", server.url, "--json", folder=tmp_path
    )
    assert joined.returncode == 0, joined.stderr
    record = json.loads(joined.stdout)
    assert [trial["state"] for trial in record["trials"]] == ["complete", "complete"]
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"command-001", "command-002"}
    assert PASSWORD not in (text := begun.stderr + again.stderr + unknown.stderr + joined.stderr + joined.stdout), text
    assert_no_password(tmp_path)


def test_a_search_whose_server_goes_away_says_so_and_is_resumed(tmp_path: Path, server: Server) -> None:
    first, _ = two_machines(tmp_path, server, "outage", epochs=60)
    process = start_worker(first, server, trials=1)
    wait_until(first.trial("0000").history_json.exists)
    server.stop()
    try:
        assert process.wait(timeout=120) == 1
        last = first.worker_log(0).read_text().splitlines()[-1]
        assert "127.0.0.1" in last
        assert "cannot be used any more" in last
        assert last.endswith(f"go on with: {first.resume_command}")
        assert " --storage postgresql://postgres@127.0.0.1:" in last
    finally:
        server.start()
    finished = len(json.loads(first.trial("0000").history_json.read_text()))
    results = work_until(first, server, lambda results: results.ended > 0)
    assert [trial.state for trial in results.trials] == ["complete"]
    assert results.trials[0].run == first.trial("0000").root
    assert len(results.trials[0].accuracies) == 60 > finished
    assert_no_password(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: re.sub(r":\d+/", ":1/", url), "refused"),
        (lambda url: url.replace("s3cret", "guess"), "password authentication failed"),
        (lambda url: url + "2", 'database "postgres2" does not exist'),
        (lambda url: url.replace("postgresql:", "postgresql+nodriver:"), "Can't load plugin"),
    ],
)
def test_a_database_that_cannot_be_opened_is_explained(
    tmp_path: Path, server: Server, change: Callable[[str], str], reason: str
) -> None:
    with pytest.raises(InputError) as caught:
        create_study(small_plan(), TuningFolder(tmp_path), change(server.url), LOCAL)
    message = str(caught.value)
    assert reason in message
    assert "--storage postgresql://USER:PASSWORD@HOST/DATABASE" in message
    assert "~/.pgpass" in message
    assert "s3cret" not in message
    assert "\n" not in message
    assert not list(tmp_path.iterdir())
