"""`mnist-cnn notebook`: the copy of the guided tour."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.commands import call
from mnist_cnn.cli import notebook
from mnist_cnn.environment.shell import quote

TOUR = Path(__file__).parents[2] / "notebooks" / "tour.ipynb"


def test_it_copies_the_tour_and_says_how_to_open_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new folder" / "tour.ipynb"
    code, out, err = call(capsys, "notebook", target.parent)
    assert (code, err) == (0, "")
    assert target.read_bytes() == TOUR.read_bytes()
    assert f"now in {target}." in out
    assert "colab.research.google.com" in out


def test_a_second_copy_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "notebook", tmp_path)
    before = (tmp_path / "tour.ipynb").stat().st_mtime_ns
    code, out, _ = call(capsys, "notebook", tmp_path, "--json")
    record = json.loads(out)
    assert (code, record["copied"], record["notebook"]) == (0, False, str(tmp_path / "tour.ipynb"))
    assert (tmp_path / "tour.ipynb").stat().st_mtime_ns == before


def test_a_changed_copy_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notebook, "programs_for", lambda target: {"JupyterLab": f"jupyter lab {target}"})
    mine = tmp_path / "tour.ipynb"
    mine.write_text("my answers")
    code, _, err = call(capsys, "notebook", tmp_path)
    assert code == 2
    assert f"was not overwritten. Open it: jupyter lab {mine} " in err
    assert "mnist-cnn notebook DIR" in err
    assert mine.read_text() == "my answers"


@pytest.mark.parametrize("is_own", [True, False])
def test_the_commands_start_this_environment_s_jupyter(is_own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    python = Path("/env/bin/python")
    found = {"jupyter-lab": "/env/bin/jupyter-lab" if is_own else "/other/bin/jupyter-lab"}
    monkeypatch.setattr("sys.executable", str(python))
    monkeypatch.setattr("shutil.which", found.get)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "jupyterlab" or None)
    expected = "jupyter lab" if is_own else f"{quote(str(python))} -m jupyterlab"
    assert notebook.programs_for(Path("my tour.ipynb")) == {"JupyterLab": f"{expected} {quote('my tour.ipynb')}"}


def test_what_is_missing_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mnist_cnn.environment.extras.package_version", lambda name: "" if "jupyter" in name else "99")
    monkeypatch.setattr(notebook, "install_command", lambda extras: f"pip install 'mnist-cnn[{','.join(extras)}]'")
    monkeypatch.setattr(notebook, "programs_for", lambda target: {})
    code, out, _ = call(capsys, "notebook", tmp_path)
    assert code == 0
    assert "first install what it needs:\n" in out
    assert "pip install 'mnist-cnn[notebook]'" in out
