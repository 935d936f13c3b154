"""What a new user sees first: the first steps, the help texts, completion with the Tab key, and `mnist-cnn doctor`."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from cli.commands import COMMAND, call
from mnist_cnn.cli import diagnosis, first_steps
from mnist_cnn.cli.app import application
from mnist_cnn.cli.verb import Verb
from mnist_cnn.environment.extras import Dependency, dependencies
from mnist_cnn.environment.installation import install_command, run_command
from mnist_cnn.environment.shell import quote

VERBS = application.list_commands(click.Context(application))


def test_without_a_command_the_first_steps_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(first_steps, "is_complete", lambda extra: True)
    code, out, err = call(capsys)
    assert (code, err) == (0, "")
    steps = [line.strip() for line in out.splitlines() if line.startswith("  ")]
    assert steps[0].startswith(f"{run_command()} demo")
    assert f"{run_command()} --help" in out
    assert "*" not in out


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_first_steps_can_be_copied_in_terminals_of_any_width(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = call(capsys)
    lines = [f"{line.rstrip()}  " for line in out.splitlines()]
    for words, _, _ in first_steps.STEPS:
        assert len([line for line in lines if line.startswith(f"  {run_command()} {words}  ")]) == 1


def test_first_steps_that_need_an_extra_say_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(first_steps, "is_complete", lambda extra: extra != "serve")
    _, out, _ = call(capsys)
    assert "Draw digits in the browser. *" in out
    assert f"  {install_command(['serve'])}\n" in out


@pytest.mark.parametrize("arguments", [words for words, _, _ in first_steps.STEPS])
def test_the_first_steps_are_accepted(arguments: str) -> None:
    parse(shlex.split(arguments))


def parse(words: list[str]) -> Verb:
    """Parse a command line without running it, and return the command."""
    command = application.get_command(click.Context(application), words[0])
    assert isinstance(command, Verb)
    command.make_context(words[0], words[1:])
    return command


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_each_command_begins_with_an_example_that_it_accepts(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, verb, "--help")
    _usage, title, example, *_ = [line for line in out.splitlines() if line.strip() and not line.startswith("      ")]
    assert (code, title, len(example) <= 80) == (0, "Example:", True)
    program, *words = shlex.split(example)
    assert (program, words[0]) == ("mnist-cnn", verb)
    assert parse(words).example == example.strip()


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="Bash IS NOT INSTALLED")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    (tmp_path / "mnist-cnn").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (tmp_path / "mnist-cnn").chmod(0o755)
    program = (
        'eval "$(_MNIST_CNN_COMPLETE=bash_source mnist-cnn)"\n'
        "complete -p mnist-cnn\n"
        'complete_words() { COMPREPLY=(); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mnist_cnn_completion mnist-cnn; '
        'echo "${COMPREPLY[@]}"; }\n'
        "complete_words mnist-cnn ex\n"
        "complete_words mnist-cnn demo --no\n"
        "complete_words mnist-cnn train --recipe con\n"
        "compopt() { echo files; }\n"  # asks Bash for files; allowed only when Bash itself completes
        "complete_words mnist-cnn predict dra\n"
        "complete_words mnist-cnn train --recipe no\n"
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    bash = ["bash", "--norc", "-c", program]
    finished = subprocess.run(bash, capture_output=True, text=True, timeout=60, env=environment, check=True)
    _, *completed = finished.stdout.splitlines()
    expected = ["export explore", "--no-open", "conv3", "files", "", "files", ""]
    assert completed == expected


def test_doctor_finds_no_problem_here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = call(capsys, "doctor")
    assert code == 0, out
    assert "No problems found." in out
    assert len(out.splitlines()) < 40
    code, out, _ = call(capsys, "doctor", "--json")
    record = json.loads(out)
    assert (code, record["reads"], record["problems"]) == (0, True, [])
    assert record["extras"]["train"] == {"state": "installed", "lacking": [], "command": install_command(["train"])}
    assert record["packages"]["onnxruntime"]


def test_doctor_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom mnist_cnn.cli import main\n"
        "try: main(['doctor', '--json'])\n"
        "finally: print(sorted({'keras', 'tensorflow', 'torch', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert finished.stdout.splitlines()[-1] == "[]"


def test_doctor_names_what_is_broken_and_the_next_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def outdated(extra: str = "") -> list[Dependency]:
        keras = Dependency("keras", ">=3.11.3", "3.5.0", is_met=False)
        return [keras, *dependencies(extra)] if extra == "train" else dependencies(extra)

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MNIST_CNN_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(diagnosis, "dependencies", outdated)
    monkeypatch.setattr("mnist_cnn.reading.samples.LABELS", {"chalk.png": 1})
    code, out, _ = call(capsys, "doctor")
    assert code == 1
    problems = [line for line in out.splitlines() if line.startswith("Problem: ")]
    assert [problem.split()[1:4] for problem in problems] == [
        ["The", "included", "weights"],
        ["This", "package", "needs"],
        [str(tmp_path / "file" / "cache"), "cannot", "be"],
    ]
    assert "keras>=3.11.3, but version 3.5.0 is installed. Install it with: " in problems[1]
    assert f"pip install {quote('keras>=3.11.3')}" in problems[1]
    assert "incomplete" in out


@pytest.mark.parametrize(("lacking", "state"), [(0, "installed"), (1, "incomplete"), (2, "incomplete"), (3, "missing")])
def test_the_state_of_an_extra(lacking: int, state: str) -> None:
    found: Any = [Dependency(str(index), ">=1", "", is_met=index >= lacking) for index in range(4)]
    assert diagnosis.Extra("serve", "", found, "").state == state


def test_doctor_says_where_data_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(b"")
    monkeypatch.setenv("MNIST_CNN_DATA", str(tmp_path))
    _, out, _ = call(capsys, "doctor", "--json")
    data = json.loads(out)["data"]
    assert data["mnist"] == f"{tmp_path} ($MNIST_CNN_DATA)"
    assert data["digits"] == "in scikit-learn"
