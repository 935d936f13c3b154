"""What a machine of a cluster checks before it works, and how its answer is understood; without Ray."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mnist_cnn.cluster.connection import ClusterError
from mnist_cnn.cluster.shared_work import Outcome, SharedFolder, attempt, outcome_of, shared
from mnist_cnn.errors import MnistCnnError, SettingError, WriteError


def test_a_machine_that_shares_the_folder_works(tmp_path: Path) -> None:
    with shared(tmp_path) as folder:
        assert folder.find_problem() == ""
        assert attempt(folder, {}, "train", "os.path:basename", "a/b").get() == "b"
    assert list(tmp_path.iterdir()) == [], "nothing is left"


def test_a_machine_without_the_folder(tmp_path: Path) -> None:
    with shared(tmp_path) as folder:
        pass
    outcome = attempt(folder, {}, "train", "os:getpid")
    with pytest.raises(ClusterError, match=rf"cannot work: it does not have the folder {tmp_path}\. .*--runs-dir"):
        outcome.get()


def test_a_file_system_without_locks(tmp_path: Path) -> None:
    mark = tmp_path / "mark.lock"
    mark.touch()
    assert "does not share locks between machines" in SharedFolder(str(tmp_path), str(mark)).find_problem()


def test_another_version(tmp_path: Path) -> None:
    with shared(tmp_path) as folder:
        problem = SharedFolder(folder.root, folder.mark, "0.0.1").find_problem()
    assert problem.endswith("is installed, not 0.0.1. Install the same version on all machines of the cluster.")


def test_a_machine_without_an_extra(tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text("import a_package_that_is_missing")
    with shared(tmp_path) as folder, pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        outcome = attempt(folder, {}, "tune", "needy:work")
    with pytest.raises(ClusterError, match="cannot work: this needs the extra 'tune'"):
        outcome.get()


def test_variables_of_the_machine_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHOSEN", "here")
    monkeypatch.delenv("NOT_CHOSEN", raising=False)
    with shared(tmp_path) as folder:
        attempt(folder, {"CHOSEN": "there", "NOT_CHOSEN": "there"}, "train", "os:getpid")
    assert (os.environ["CHOSEN"], os.environ.pop("NOT_CHOSEN")) == ("here", "there")


def test_a_failure_keeps_its_message_and_exit_code_and_names_another_machine() -> None:
    def fail() -> None:
        raise SettingError("there is no such data set.")

    for host, message in ((Outcome().host, "there is"), ("far", "far, a machine of the cluster: there is")):
        failed = outcome_of(fail)
        with pytest.raises(MnistCnnError, match=f"^{message} no such data set\\.$") as caught:
            Outcome(problem=failed.problem, exit_code=failed.exit_code, host=host).get()
        assert caught.value.exit_code == 2


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="--runs-dir"), shared(tmp_path / "file" / "inside"):
        pass
