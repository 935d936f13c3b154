"""The command line as a whole: training and its neighbours, exit codes and messages."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli.commands import TINY, call, run_command
from datasets.idx_files import write_idx
from mnist_cnn.config import DEFAULT_RECIPE, load_recipe, recipe_names
from mnist_cnn.datasets import load_dataset
from mnist_cnn.environment.installation import install_command


def test_train_leaves_a_complete_run_and_prints_one_object(trained: tuple[Path, dict[str, Any]]) -> None:
    run, record = trained
    assert run.name == "conv3-digits-001"
    assert record["n"] == 359
    assert {entry.name for entry in run.iterdir()} == {
        ".lock", "README.md", "best.keras", "config.toml", "environment.json", "exploration", "figures",
        "history.csv", "history.json",
        "log.txt", "metrics.json", "model.keras", "model.weights.h5", "predictions.csv", "report.html",
    }  # fmt: skip
    assert len(json.loads((run / "history.json").read_text())) == 2


@pytest.mark.slow
def test_the_configuration_of_a_run_repeats_it(run: Path, tmp_path: Path) -> None:
    """In a process of its own, as a user runs it."""
    words = ["train", "--recipe", run / "config.toml", "--epochs", "1", "--json"]
    finished = run_command(*words, folder=tmp_path)
    assert finished.returncode == 0, finished.stderr
    repeated = tmp_path / json.loads(finished.stdout)["run"]
    assert repeated.relative_to(tmp_path) == Path("runs", run.name)
    first, again = (json.loads((path / "history.json").read_text())[0] for path in (run, repeated))
    assert again["loss"] == pytest.approx(first["loss"], rel=1e-3)


def test_evaluate_measures_a_model_file_on_other_data(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, record = trained
    words = ["evaluate", run / "model.keras", "--dataset", "digits"]
    code, out, _ = call(capsys, *words, "--json")
    assert code == 0
    assert json.loads(out)["accuracy"] == record["accuracy"]
    code, out, _ = call(capsys, *words, "--split", "all", "--output", tmp_path / "page")
    assert code == 0
    assert "--dataset digits --split all" in (tmp_path / "page" / "report.html").read_text()
    assert "1,797" in out


def test_evaluate_measures_the_included_weights(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "evaluate", "digits", "--dataset", "digits", "--json")
    assert code == 0
    assert json.loads(out)["accuracy"] > 0.9


def test_evaluate_measures_corruptions_if_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "digits", "--dataset", "digits", "--corruptions", "--output", tmp_path / "page"]
    code, out, _ = call(capsys, *words)
    assert code == 0
    assert "canny edges" in out
    assert "worst" in out
    assert "evaluate digits --dataset digits --corruptions" in (tmp_path / "page" / "report.html").read_text()
    record = json.loads((tmp_path / "page" / "metrics.json").read_text())["corruptions"]
    assert record["each"]["fog"]["prepared_accuracy"] > record["each"]["fog"]["accuracy"]


def test_resuming_a_finished_run_changes_nothing(
    trained: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    run, record = trained
    before = (run / "model.keras").read_bytes()
    code, out, _ = call(capsys, "train", "--resume", run, "--json")
    assert code == 0
    assert json.loads(out)["accuracy"] == record["accuracy"]
    assert (run / "model.keras").read_bytes() == before


def test_compare_tests_the_difference(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = shutil.copytree(run, tmp_path / "other")
    config = (other / "config.toml").read_text()
    (other / "config.toml").write_text(re.sub(r"^seed = 0$", "seed = 1", config, flags=re.MULTILINE))
    code, out, _ = call(capsys, "compare", run, other, "--json")
    assert code == 0
    compared = json.loads(out)
    assert compared["settings"] == {"training.seed": [0, 1]}
    assert compared["tests"][0]["test"] is not None


def test_explore_and_augment_leave_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "explore", "--dataset", "digits", "--output", tmp_path / "look", "--json")
    assert code == 0
    assert sum(json.loads(out)["class_counts"]["train"]) == 1438
    assert {path.name for path in (tmp_path / "look").iterdir()} == {
        "class-distribution.png", "exploration.json", "mean-images.png", "samples.png",
    }  # fmt: skip
    sheet = tmp_path / "sheet.png"
    code, out, _ = call(capsys, "augment", "--dataset", "digits", "--output", sheet)
    assert code == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", ["recipes", "datasets"])
def test_lists_are_one_object(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, command, "--json")
    assert code == 0
    assert json.loads(out)[command]


@pytest.mark.parametrize("words", [["-h"], ["train", "--help"], ["export", "-h"]])
def test_help_is_shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, *words)
    assert code == 0
    assert out.startswith("Usage: mnist-cnn")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "Did you mean 'train'? See: mnist-cnn --help"),
        (["train", "--epoch", "3"], "Did you mean '--epochs'? See: mnist-cnn train --help"),
        (["serve", "--xxen"], "No such option '--xxen'. See: mnist-cnn serve --help"),
        (["train", "--epochs", "many"], "'--epochs': 'many' is not a valid integer"),
        (["train", "--epochs", "0"], "training.epochs = 0 is not valid"),
        (["train", "--recipe", "batchnrm"], "Did you mean 'batchnorm'?"),
        (["train", "--recipe", ""], "'--recipe': it is empty. Give a name or a path, or omit the option."),
        (["train", "--init-from", ""], "'--init-from': the path is empty."),
        (
            ["ensemble", "--recipe", "small", "--dataset", "digits", "--name", "/x"],
            "'/x' is not a valid run name",
        ),
        (["train", "--set", "training.epoch=3"], "Did you mean 'training.epochs'?"),
        (["train", "--set", "training.epochs"], "KEY=VALUE"),
        (["train", "--dataset", "minst"], "Did you mean 'mnist'?"),
        (["train", "--resume", "runs/none"], "Give the path that `mnist-cnn train` printed"),
        (
            ["train", "--resume", "runs/none", "--epochs", "3"],
            "--epochs is not possible here. Omit it, or train",
        ),
        (["train", "--resume", "runs/none", "--set", "training.epochs=3"], "--set is not possible here"),
        (["train", "--resume", "runs/none", "--runs-dir", "other"], "--runs-dir is not possible here"),
        (["train", "--dataset", "digits", "--recipe", "vgg", "--set", "model.arguments.filter=3"], "'filters'"),
        (
            ["train", "--init-from", "x.keras", "--set", "model.architecture=vgg"],
            "model.architecture has no effect",
        ),
        (["train", "--dataset", "digits", "--add", "mine"], "'mine' does not exist"),
        (["train", "--dataset", "digits", "--add", "empty"], "no class folders"),
        (["train", "--dataset", "digits", "--init-from", "digit"], "Give a run, a .keras file, or 'digits'"),
        (["train", "--dataset", "digits", "--init-from", "none.keras"], "Train one with: mnist-cnn train"),
        (["train", "--dataset", "digits", "--scale", "2"], "--init-from"),
        (["train", "--dataset", "digits", "--freeze", "features"], "freeze needs a trained model"),
        (["train", "--init-from", "digits", "--scale", "0"], "0.0 is not in the range"),
        (["predict", "x.png", "--scale", "inf"], "scale = inf is not valid"),
        (["train", "--dataset", "digits", "--name", "../mine"], "../mine"),
        (["evaluate", "none.keras", "--dataset", "digits"], "there is no model"),
        (["compare", "one"], "there is no run"),
    ],
)
def test_an_invalid_call_ends_with_one_line_and_exit_code_2(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    code, out, err = call(capsys, *words)
    assert code == 2
    assert all(line.startswith("Training") for line in out.splitlines())
    assert err.startswith("Error: ")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*-001"))  # no empty run is left


def test_an_onnx_file_as_start_names_the_keras_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "digits.onnx"
    file.touch()
    words = ["--dataset", "digits", "--init-from", file, "--runs-dir", tmp_path / "runs"]
    code, out, error = call(capsys, "train", *words)
    assert (code, out) == (2, "")
    assert "is not a Keras model" in error
    assert "'digits'" in error


@pytest.mark.slow
def test_training_on_files_by_path_and_added_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """IDX files without a test set of their own; among the added images a file that is skipped."""
    digits = load_dataset("digits", split="all")
    write_idx(tmp_path / "mine-images-idx3-ubyte", digits.images)
    write_idx(tmp_path / "mine-labels-idx1-ubyte", digits.labels.astype("uint8"))
    own = tmp_path / "own" / "7"
    own.mkdir(parents=True)
    Image.fromarray(digits.images[0]).save(own / "a.png")
    (own / "notes.txt").write_text("not an image")
    words = [*TINY, "--dataset", tmp_path / "mine-images-idx3-ubyte", "--add", own.parent, "--epochs", "1"]
    code, out, err = call(capsys, "train", *words, "--runs-dir", tmp_path / "runs", "--name", "one", "--json")
    assert code == 0, err
    assert json.loads(out)["n"] == 359
    assert err.startswith("NOTE: ")
    assert "notes.txt" in err
    log = (tmp_path / "runs" / "one-001" / "log.txt").read_text("utf-8")
    assert "and 1 image from" in log
    assert "notes.txt" in log


def test_json_and_debug_show_an_error_their_way(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "--debug", "train", "--recipe", "none", "--json")
    assert code == 2
    assert json.loads(out)["exit_code"] == 2
    assert "Traceback" in err
    _, out, err = call(capsys, "train", "--recipe", "none", "--debug")
    assert not out
    assert "Traceback" in err


def test_only_a_missing_package_of_others_is_to_be_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mnist_cnn.training.trainer", None)
    code, _, err = call(capsys, "train", "--dataset", "digits")
    assert code == 1
    assert "unexpected ModuleNotFoundError" in err


def test_a_killed_process_of_a_pool_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_cnn.evaluation import robustness

    monkeypatch.setattr(robustness, "_FEW", 1)
    monkeypatch.setattr(robustness, "usable_cores", lambda: 2)
    monkeypatch.setattr(robustness, "_prepare_in_pool", lambda pool, _: pool.submit(os._exit, 1).result())
    words = ["evaluate", "digits", "--dataset", "digits", "--corruptions", "--output", tmp_path / "page"]
    code, _, err = call(capsys, *words)
    assert code == 1
    assert "Error: a process of this command was killed, probably for lack of memory." in err


def test_damaged_data_are_named_and_stay_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(b"\x00\x00\x08\x03garbage")
    code, _, err = call(capsys, "train", "--dataset", images, "--runs-dir", tmp_path / "runs")
    assert code == 2
    assert images.name in err
    assert images.read_bytes() == b"\x00\x00\x08\x03garbage"


def test_an_unwritable_folder_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    code, _, err = call(capsys, "train", "--dataset", "digits", "--runs-dir", tmp_path / "runs")
    assert code == 1
    assert "--runs-dir" in err


@pytest.mark.slow
def test_auto_without_mnist_warns_everywhere(bare_machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The quick start on a machine without a network uses the bundled digits."""
    code, out, err = call(capsys, "train", "--epochs", "1", "--set", "model.arguments.filters=[4, 8, 8]")
    assert code == 0, err
    assert "NOTE: MNIST is" in out
    run = bare_machine / "work" / "runs" / "small-digits-001"
    assert "MNIST is n" in (run / "report.html").read_text("utf-8")


def test_a_missing_extra_names_the_pip_command(tmp_path: Path) -> None:
    """As if only the base were installed: importing Keras fails."""
    program = "import sys; sys.modules['keras'] = None; from mnist_cnn.cli import main; main()"
    command = [sys.executable, "-c", program, "train", "--dataset", "digits"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2
    assert f"Install it with: {install_command(['train'])}" in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1


def gate(recipe: str, n: int) -> float:
    """Return the accuracy that a run must reach: the recipe's claim, less three standard errors of n test images."""
    claim = re.match(r"(\d+\.\d+)(?: ± \d+\.\d+)? %", load_recipe(recipe).expected_accuracy)
    assert claim, "the expected accuracy of a recipe starts with the figure in percent"
    claimed = float(claim[1]) / 100
    return claimed - 3 * math.sqrt(claimed * (1 - claimed) / n)


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_claims_an_accuracy_that_can_be_tested(recipe: str) -> None:
    assert 0.98 < gate(recipe, 10_000) < 1


@pytest.mark.mnist
@pytest.mark.timeout(2000)
def test_the_default_recipe_reaches_its_claimed_accuracy(mnist_dir: Path, tmp_path: Path) -> None:
    """The accuracy gate: the complete default run, as a user would start it."""
    words = ["train", "--dataset", "mnist", "--data-dir", mnist_dir, "--json"]
    finished = run_command(*words, folder=tmp_path, seconds=1900)
    assert finished.returncode == 0, finished.stderr
    record = json.loads(finished.stdout)
    assert record["n"] == 10_000
    assert record["accuracy"] >= gate(DEFAULT_RECIPE, record["n"])


def test_ctrl_c_during_the_import_of_a_compiled_module_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise ImportError("initialization failed") from interrupt

    monkeypatch.setattr("mnist_cnn.cli.first_steps.show_first_steps", fail)
    code, _, err = call(capsys)
    assert (code, err.strip()) == (130, "Interrupted.")
