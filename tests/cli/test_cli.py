"""The command line as its user meets it: a real process for each verb, real files, exit codes and messages."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mnist_cnn.cli.app import main
from mnist_cnn.config import DEFAULT_RECIPE, load_recipe, recipe_names
from mnist_cnn.datasets import load_dataset
from mnist_cnn.datasets.idx import write_idx
from mnist_cnn.environment.installation import install_command

TINY = ["--recipe", "conv3", "--dataset", "digits", "--epochs", "2", "--set", "model.arguments.filters=[4, 8, 8]"]


def run_command(*words: str, folder: Path, seconds: int = 240) -> Any:
    command = [sys.executable, "-m", "mnist_cnn", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds)


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a verb within this process, which saves the seconds in which Keras is imported."""
    with pytest.raises(SystemExit) as exit_:
        main(list(words))
    printed = capsys.readouterr()
    return int(exit_.value.code or 0), printed.out, printed.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One tiny run, made by the real command in a process of its own, with what it printed."""
    folder = tmp_path_factory.mktemp("cli")
    finished = run_command("train", *TINY, "--json", folder=folder)
    assert finished.returncode == 0, finished.stderr
    return folder, json.loads(finished.stdout)


def test_train_leaves_a_whole_run_and_prints_one_object(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, record = trained
    run = folder / "runs" / "conv3-digits-001"
    assert record["run"] == str(Path("runs") / run.name)
    assert record["n"] == 359
    assert {entry.name for entry in run.iterdir()} == {
        ".lock", "README.md", "best.keras", "config.toml", "environment.json", "exploration", "figures",
        "history.csv", "history.json",
        "log.txt", "metrics.json", "model.keras", "model.weights.h5", "predictions.csv", "report.html",
    }  # fmt: skip
    assert len(json.loads((run / "history.json").read_text())) == 2


def test_a_run_s_own_configuration_repeats_it(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = trained
    config = folder / "runs" / "conv3-digits-001" / "config.toml"
    words = ["train", "--recipe", str(config), "--runs-dir", str(tmp_path), "--epochs", "1", "--json"]
    finished = run_command(*words, folder=folder)
    assert finished.returncode == 0, finished.stderr
    first, again = (
        json.loads((path / "history.json").read_text())[0]
        for path in (config.parent, Path(folder, json.loads(finished.stdout)["run"]))
    )
    assert again["loss"] == pytest.approx(first["loss"], rel=1e-3)


def test_evaluate_measures_a_model_file_on_other_data(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, record = trained
    model = folder / "runs" / "conv3-digits-001" / "model.keras"
    code, out, _ = call(capsys, "evaluate", str(model), "--dataset", "digits", "--json")
    assert code == 0
    assert json.loads(out)["accuracy"] == record["accuracy"]
    code, out, _ = call(
        capsys, "evaluate", str(model), "--dataset", "digits", "--split", "all", "--output", str(tmp_path / "page")
    )
    assert code == 0
    assert (tmp_path / "page" / "report.html").exists()
    assert "1,797" in out


def test_resuming_a_finished_run_says_so(
    trained: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, record = trained
    run = folder / "runs" / "conv3-digits-001"
    before = (run / "model.keras").read_bytes()
    code, out, _ = call(capsys, "train", "--resume", str(run), "--json")
    assert code == 0
    assert json.loads(out)["accuracy"] == record["accuracy"]
    assert (run / "model.keras").read_bytes() == before


def test_compare_tests_the_difference(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = trained
    first = folder / "runs" / "conv3-digits-001"
    code, out, _ = call(capsys, "train", *TINY, "--seed", "1", "--runs-dir", str(tmp_path), "--json")
    assert code == 0
    code, out, _ = call(capsys, "compare", str(first), json.loads(out)["run"], "--json")
    assert code == 0
    compared = json.loads(out)
    assert compared["settings"] == {"training.seed": [0, 1]}
    assert compared["tests"][0]["test"] is not None


def test_explore_and_augment_leave_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "explore", "--dataset", "digits", "--output", str(tmp_path / "look"), "--json")
    assert code == 0
    assert sum(json.loads(out)["class_counts"]["train"]) == 1438
    assert {path.name for path in (tmp_path / "look").iterdir()} == {
        "class-distribution.png", "exploration.json", "mean-images.png", "samples.png",
    }  # fmt: skip
    sheet = tmp_path / "sheet.png"
    code, out, _ = call(capsys, "augment", "--dataset", "digits", "--output", str(sheet))
    assert code == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("verb", ["recipes", "datasets"])
def test_lists_are_one_object(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, verb, "--json")
    assert code == 0
    assert json.loads(out)[verb]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--recipe", "batchnrm"], "Did you mean 'batchnorm'?"),
        (["train", "--set", "training.epoch=3"], "Did you mean 'training.epochs'?"),
        (["train", "--set", "training.epochs"], "KEY=VALUE"),
        (["train", "--epochs", "0"], "training.epochs = 0 is not valid"),
        (["train", "--epochs", "many"], "--epochs"),
        (["train", "--epoch", "3"], "--epochs"),
        (["train", "--learning-rate", "nan"], "learning_rate"),
        (["train", "--dataset", "minst"], "Did you mean 'mnist'?"),
        (["train", "--resume", "runs/none"], "there is no run"),
        (["train", "--resume", "runs/none", "--epochs", "3"], "cannot be changed"),
        (["train", "--dataset", "digits", "--recipe", "vgg", "--set", "model.arguments.filter=3"], "'filters'"),
        (["train", "--init-from", "x.keras", "--set", "model.architecture=vgg"], "brings its own network"),
        (["train", "--dataset", "digits", "--add", "mine"], "'mine' does not exist"),
        (["train", "--dataset", "digits", "--init-from", "digit"], "Did you mean 'digits'?"),
        (["train", "--dataset", "digits", "--init-from", "none.keras"], "Train one with: mnist-cnn train"),
        (["train", "--dataset", "digits", "--scale", "2"], "--scale 2.0 needs a trained model"),
        (["train", "--dataset", "digits", "--freeze", "features"], "Give one with --init-from, or leave out --freeze"),
        (["train", "--init-from", "digits", "--scale", "0"], "--scale 0 is not valid. Give a number above 0"),
        (["train", "--init-from", "digits", "--scale", "-1"], "--scale -1 is not valid. Give a number above 0"),
        (["evaluate", "none.keras", "--scale", "0"], "--scale 0 is not valid. Give a number above 0"),
        (["export", "none.keras", "--scale", "nan"], "--scale nan is not valid. Give a number above 0"),
        (["predict", "x.png", "--scale", "inf"], "--scale inf is not valid. Give a number above 0"),
        (["train", "--dataset", "digits", "--name", "../mine"], "a run cannot be called"),
        (["train", "--dataset", "digits", "--seed", "99999999999"], "training.seed"),
        (["trian"], "Did you mean 'train'? See"),
        (["evaluate", "none.keras", "--dataset", "digits"], "there is no model"),
        (["compare", "one"], "there is no run"),
    ],
)
def test_the_caller_s_mistakes_are_one_line_and_exit_code_2(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *words)
    assert code == 2
    assert not [line for line in out.splitlines() if not line.startswith("Training")]
    assert err.startswith("Error: ")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*-001"))  # no empty run is left behind


def test_no_training_is_said_to_begin_with_a_folder_that_holds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    code, out, error = call(
        capsys, "train", "--dataset", "digits", "--add", str(own), "--runs-dir", str(tmp_path / "runs")
    )
    assert (code, out) == (2, "")
    assert "holds no class folders" in error


def test_a_model_of_another_format_is_no_start_and_the_shipped_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "digits.onnx"
    file.touch()
    words = ["--dataset", "digits", "--init-from", str(file), "--runs-dir", str(tmp_path / "runs")]
    code, out, error = call(capsys, "train", *words)
    assert (code, out) == (2, "")
    assert "is an ONNX file, for predict and serve; this needs the Keras model" in error
    assert "must end in .keras or .h5. Name such a file or a run; train --init-from also takes 'digits'" in error


def test_what_is_passed_over_among_added_images_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own" / "7"
    own.mkdir(parents=True)
    Image.fromarray(load_dataset("digits").images[0]).save(own / "a.png")
    (own / "notes.txt").write_text("no image")
    words = [*TINY, "--add", str(own.parent), "--runs-dir", str(tmp_path / "runs"), "--name", "one"]
    code, out, _ = call(capsys, "train", *words)
    assert code == 0
    assert out.startswith(f"NOTE: passed over {own / 'notes.txt'}")
    log = (tmp_path / "runs" / "one-001" / "log.txt").read_text("utf-8")
    assert "and 1 image from" in log
    assert "notes.txt" in log


def test_an_error_under_json_is_one_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "train", "--recipe", "none", "--json")
    assert code == 2
    assert json.loads(out)["exit_code"] == 2


def test_damaged_data_is_named_and_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = tmp_path / "train-images-idx3-ubyte"
    images.write_bytes(b"\x00\x00\x08\x03garbage")
    code, _, err = call(capsys, "train", "--dataset", str(images), "--runs-dir", str(tmp_path / "runs"))
    assert code == 2
    assert images.name in err
    assert "Traceback" not in err
    assert images.read_bytes() == b"\x00\x00\x08\x03garbage"


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "train", "--recipe", "none", "--debug")
    assert code == 2
    assert "Traceback" in err


def test_an_unwritable_folder_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    code, _, err = call(capsys, "train", "--dataset", "digits", "--runs-dir", str(tmp_path / "runs"))
    assert code == 1
    assert "--runs-dir" in err


def test_auto_without_mnist_says_so_everywhere(bare_machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The quick start on a machine without a network: the bundled digits, loudly."""
    words = ["train", "--epochs", "1", "--set", "model.arguments.filters=[4, 8, 8]"]
    code, out, err = call(capsys, *words)
    assert code == 0, err
    assert "NOTE: MNIST is neither at hand" in out
    run = bare_machine / "work" / "runs" / "small-digits-001"
    assert "MNIST is neither at hand" in (run / "report.html").read_text("utf-8")


def test_a_missing_extra_names_the_pip_command(tmp_path: Path) -> None:
    """As if only the base were installed: importing Keras fails."""
    (tmp_path / "keras.py").write_text("raise ModuleNotFoundError(\"No module named 'keras'\", name='keras')")
    program = "import sys; sys.path.insert(0, '.'); from mnist_cnn.cli import main; main()"
    command = [sys.executable, "-c", program, "train", "--dataset", "digits"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2
    assert f"Install it with: {install_command(['train'])}" in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1


def gate(recipe: str, n: int) -> float:
    """Give the accuracy that a run must reach: what its recipe claims, less three standard errors of n test images."""
    claim = re.match(r"(\d+\.\d+)(?: ± \d+\.\d+)? %", load_recipe(recipe).expected_accuracy)
    assert claim, "a recipe begins its expected accuracy with the figure in percent"
    claimed = float(claim[1]) / 100
    return claimed - 3 * math.sqrt(claimed * (1 - claimed) / n)


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_claims_an_accuracy_that_can_be_tested(recipe: str) -> None:
    assert 0.98 < gate(recipe, 10_000) < 1


@pytest.mark.mnist
@pytest.mark.timeout(2000)
def test_the_default_recipe_reaches_what_it_claims(mnist_dir: Path, tmp_path: Path) -> None:
    """The accuracy gate: the whole default run, as a user would make it."""
    words = ["train", "--dataset", "mnist", "--data-dir", str(mnist_dir), "--json"]
    finished = run_command(*words, folder=tmp_path, seconds=1900)
    assert finished.returncode == 0, finished.stderr
    record = json.loads(finished.stdout)
    assert record["n"] == 10_000
    assert record["accuracy"] >= gate(DEFAULT_RECIPE, record["n"])


def test_idx_files_by_path_train_without_a_test_set_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mnist_cnn.datasets import load_dataset

    digits = load_dataset("digits", split="all")
    write_idx(tmp_path / "mine-images-idx3-ubyte", digits.images)
    write_idx(tmp_path / "mine-labels-idx1-ubyte", digits.labels.astype("uint8"))
    words = [*TINY, "--dataset", str(tmp_path / "mine-images-idx3-ubyte"), "--epochs", "1"]
    code, out, err = call(capsys, "train", *words, "--runs-dir", str(tmp_path / "runs"), "--json")
    assert code == 0, err
    assert json.loads(out)["n"] == 359
