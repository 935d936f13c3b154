"""A study shared by machines in PostgreSQL: a real server, and workers in separate folders, killed and cut off."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.commands import run_command
from late import Late
from mnist_cnn.datasets import ResolvedDataset, load_dataset
from mnist_cnn.errors import InputError
from mnist_cnn.tuning.search_folder import TuningFolder
from tuning.postgresql import PASSWORD, Server, run_server
from tuning.small import small_plan, start_worker, wait_until

optuna, sqlalchemy = Late("optuna"), Late("sqlalchemy")
bounds, handover, results, storage, studies, worker = (
    Late(f"mnist_cnn.tuning.{name}") for name in ("bounds", "handover", "results", "storage", "study", "worker")
)

pytestmark = pytest.mark.slow
DIGITS = ResolvedDataset("digits")
QUIET = 1  # seconds between two heartbeats; a worker that misses four counts as dead


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="POSTGRESQL NOT TESTED: pip install '.[postgresql]'")
    with run_server() as running:
        yield running


def two_machines(root: Path, server: Server, name: str, epochs: int) -> tuple[TuningFolder, TuningFolder]:
    """Create a study in one folder and join it from another."""
    first, second = (TuningFolder(root / folder, server.url) for folder in ("first", "second"))
    for folder in (first, second):
        folder.root.mkdir()
    studies.create_study(small_plan({"training.epochs": epochs}, name=name, heartbeat=QUIET), first, DIGITS)
    studies.join_study(studies.find_plan(name, second), second, DIGITS)
    return first, second


def work_until(folder: TuningFolder, condition: Callable[[Any], bool]) -> Any:
    """Look for work repeatedly, like a machine that has more trials to run."""
    digits = load_dataset("digits")

    def has_happened() -> bool:
        worker.work(folder, digits, bounds.Bounds(trials=1))
        return condition(results.read_results(folder))

    wait_until(has_happened)
    return results.read_results(folder)


def trained(*folders: TuningFolder) -> list[str]:
    """Return the names of all runs that were begun, in any folder."""
    return [path.name for folder in folders for path in (folder.root / "trials").iterdir()]


def assert_no_password(*roots: Path) -> None:
    for root in roots:
        for path in root.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert b"s3cret" not in content, path


def test_two_machines_never_run_the_same_trial(tmp_path: Path, server: Server) -> None:
    folders = two_machines(tmp_path, server, "shared", epochs=2)
    workers = [start_worker(folder, bounds.Bounds(trials=8)) for folder in folders]
    assert [process.wait(timeout=240) for process in workers] == [0, 0]
    found = results.read_results(folders[0])
    numbers = [trial.number for trial in found.trials]
    assert len(numbers) == 8, "never more than requested"
    assert {trial.state for trial in found.trials} <= {"complete", "pruned"}
    assert sorted(trained(*folders)) == [f"{number:04d}" for number in numbers], "each was trained once, somewhere"
    assert all(trained(folder) for folder in folders), "both must have been at work"
    assert len({str(trial.choices) for trial in found.trials}) == len(numbers)
    assert_no_password(tmp_path)


def test_another_machine_resumes_the_trial_of_a_killed_one(tmp_path: Path, server: Server) -> None:
    first, second = two_machines(tmp_path, server, "killed", epochs=40)
    process = start_worker(first, bounds.Bounds(trials=1))
    wait_until(first.trial("0000").history_json.exists)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = results.read_results(second)
    assert [trial.state for trial in before.trials] == ["running"]
    found = work_until(second, lambda found: found.ended > 0)
    assert [(trial.number, trial.state) for trial in found.trials] == [(1, "complete")]
    assert found.trials[0].choices == before.trials[0].choices
    assert trained(second) == ["0001"]


def test_a_machine_that_was_cut_off_does_not_count_twice(tmp_path: Path, server: Server) -> None:
    first, second = two_machines(tmp_path, server, "asleep", epochs=40)
    process = start_worker(first, bounds.Bounds(trials=1))
    wait_until(first.trial("0000").history_json.exists)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        found = work_until(second, lambda found: found.ended > 0)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert process.wait(timeout=120) == 0, first.worker_log(0).read_text()
    after = results.read_results(second)
    assert after.trials == found.trials, "what the other machine did stays"
    assert [trial.state for trial in after.trials] == ["complete"]


def test_a_machine_takes_no_trial_that_another_one_works_at(tmp_path: Path, server: Server) -> None:
    """Not even one that was its own before."""
    first, second = two_machines(tmp_path, server, "inherited", epochs=1)
    study = studies.open_study(first)
    for folder in (first, second):
        trial = study.ask()
        trial.set_user_attr(handover.PLACE, folder.place)
        trial.set_user_attr(handover.BEGUN, True)
        handover.hand_back_abandoned(study, first)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "RUNNING"]


def test_one_machine_has_the_claim_until_it_releases_it_or_freezes(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_cnn.tuning.storage._FROZEN", 2)
    folder = TuningFolder(tmp_path, server.url)
    with storage.claim_study(folder, "other"), storage.claim_study(folder, "claimed"):
        pass  # each study has its own
    began = time.monotonic()
    frozen, other = (storage.claim_study(folder, "claimed") for _ in range(2))
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="idle-in-transaction"), frozen, other:
        assert 1 < time.monotonic() - began < 30


def test_the_heartbeat_survives_an_outage(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = two_machines(tmp_path, server, "outlived", epochs=1)
    study = studies.open_study(folder)
    record, failures = optuna.storages.RDBStorage.record_heartbeat, iter([True])

    def record_or_fail(self: Any, trial_id: int) -> None:
        if next(failures, False):
            raise optuna.exceptions.StorageInternalError
        record(self, trial_id)

    monkeypatch.setattr(optuna.storages.RDBStorage, "record_heartbeat", record_or_fail)

    def wait(trial: Any) -> float:
        time.sleep(2.5 * QUIET)
        return 0.5

    study.optimize(wait, n_trials=1)
    last = sqlalchemy.text("SELECT count(*) FROM trial_heartbeats WHERE trial_id = (SELECT max(trial_id) FROM trials)")
    with sqlalchemy.create_engine(server.url).connect() as connection:
        assert connection.scalar(last) == 1


def test_the_command_shares_a_study(tmp_path: Path, server: Server) -> None:
    (tmp_path / "space.toml").write_text('[settings]\n"model.arguments.dense" = { low = 8, high = 16 }\n')

    tiny = ["--recipe", "conv3", "--dataset", "digits", "--space", "space.toml", "--epochs", "1", "--name", "command"]
    begun = run_command("tune", *tiny, "--trials", "1", "--storage", server.url, "--json", folder=tmp_path)
    assert begun.returncode == 0, begun.stderr
    again = run_command("tune", *tiny, "--trials", "1", "--storage", server.url, folder=tmp_path)
    assert again.returncode == 2
    assert "already has a study 'command'" in again.stderr
    unknown = run_command("tune", "--join", "comand", "--storage", server.url, folder=tmp_path)
    assert unknown.returncode == 2
    assert "does not contain the study 'comand'" in unknown.stderr
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
    process = start_worker(first, bounds.Bounds(trials=1))
    wait_until(first.trial("0000").history_json.exists)
    server.stop()
    try:
        assert process.wait(timeout=120) == 1
        last = first.worker_log(0).read_text().splitlines()[-1]
        assert "can no longer be used" in last
        assert last.endswith(f"continue with: {first.resume_command}")
        assert " --storage postgresql://postgres@127.0.0.1:" in last
    finally:
        server.start()
    finished = len(json.loads(first.trial("0000").history_json.read_text()))
    found = work_until(first, lambda found: found.ended > 0)
    assert [trial.state for trial in found.trials] == ["complete"]
    assert found.trials[0].run == first.trial("0000").root
    assert len(found.trials[0].accuracies) == 60 > finished
    assert_no_password(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: re.sub(r":\d+/", ":1/", url), "refused"),
        (lambda url: url.replace("s3cret", "guess"), "password authentication failed"),
        (lambda url: url.replace("postgresql:", "postgresql+nodriver:"), "Can't load plugin"),
    ],
)
def test_a_database_that_cannot_be_opened_is_explained(
    tmp_path: Path, server: Server, change: Callable[[str], str], reason: str
) -> None:
    with pytest.raises(InputError) as caught:
        studies.create_study(small_plan(), TuningFolder(tmp_path, change(server.url)), DIGITS)
    message = str(caught.value)
    assert reason in message
    assert "--storage postgresql://USER:PASSWORD@HOST/DATABASE" in message
    assert "~/.pgpass" in message
    assert "s3cret" not in message
    assert "\n" not in message
    assert not list(tmp_path.iterdir())
