"""Folders are written completely: after a kill at any step, the old or the new one exists or can be restored."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_cnn.errors import MnistCnnError, WriteError
from mnist_cnn.export.folders import write_whole_folder
from mnist_cnn.runs import RunFolder, lock_run

# Replaces the folder argv[1], but dies as by kill -9 before the step argv[2] of those that change the disk.
KILLED = """
import os, sys
from pathlib import Path
from mnist_cnn.export.folders import write_whole_folder

steps = 0

def count(event, _):
    global steps
    if event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
        steps += 1
        if steps == int(sys.argv[2]):
            os._exit(9)

sys.addaudithook(count)
with write_whole_folder(Path(sys.argv[1])) as partial:
    for name in ("a", "b"):
        (partial / name).write_text("new")
"""


def fill(folder: Path, text: str) -> None:
    for name in ("a", "b"):
        (folder / name).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    return {entry.name: entry.read_text() for entry in folder.iterdir()}


def fail_to_write(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), write_whole_folder(path):
        raise ZeroDivisionError


def replace_and_die(path: Path, step: int) -> int:
    words = [sys.executable, "-c", KILLED, str(path), str(step)]
    return subprocess.run(words, timeout=60, check=False).returncode


def test_a_killed_process_leaves_the_old_or_the_new_folder(tmp_path: Path) -> None:
    found = []
    for step in range(1, 30):
        run = RunFolder(tmp_path / str(step))
        path = run.exports / "saved_model"
        path.mkdir(parents=True)
        fill(path, "old")
        code = replace_and_die(path, step)
        with lock_run(run):  # which removes half-written files
            assert not list(run.root.rglob(".partial-*"))
        fail_to_write(path)  # only restores
        assert [entry.name for entry in run.exports.iterdir()] == ["saved_model"]
        assert contents(path) in ({"a": "old", "b": "old"}, {"a": "new", "b": "new"})
        found.append(contents(path)["a"])
        if code == 0:
            break
    assert code == 0
    assert len(found) >= 6  # two folders made, two renamed, two removed
    assert found == sorted(found, reverse=True)  # old before a certain step, new from it on


def test_a_failed_change_restores_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "openvino"
    path.mkdir()
    fill(path, "old")
    rename = Path.rename

    def fail_for_the_new(self: Path, target: Path) -> Path:
        if self.parent.name.startswith(".partial-"):
            raise OSError("no luck")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(MnistCnnError, match=r"was not written: no luck"), write_whole_folder(path) as partial:
        fill(partial, "new")
    assert contents(path) == {"a": "old", "b": "old"}
    assert list(tmp_path.iterdir()) == [path]


def test_all_files_are_on_the_disk_before_the_folder_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "saved_model"
    flushed = []

    def note(descriptor: int) -> None:
        assert not path.exists()
        flushed.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    with write_whole_folder(path) as partial:
        (partial / "variables").mkdir()
        fill(partial / "variables", "new")
    assert sorted(flushed) == sorted(entry.stat().st_ino for entry in (path / "variables").iterdir())


def test_errors_about_something_else_pass_through_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "saved_model"
    with pytest.raises(FileNotFoundError, match=r"source\.txt"), write_whole_folder(path) as partial:
        (partial / "a").write_bytes((tmp_path / "source.txt").read_bytes())
    with pytest.raises(WriteError, match="saved_model was not written"), write_whole_folder(path) as partial:
        (partial / "no such folder" / "a").write_text("new")
    assert list(tmp_path.iterdir()) == []
