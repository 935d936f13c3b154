"""The guided tour: its structure, what is stored in it, and whether it runs from top to bottom."""

from __future__ import annotations

import base64
import re
import struct
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "notebooks" / "tour.ipynb"
STEPS = [
    "The problem", "The data", "Exploration", "Preparation", "An honest split", "Augmentation", "The model",
    "Compiling and training", "Learning curves", "Training in one call", "Evaluation", "Error analysis", "Tuning",
    "Transfer learning", "Saving and loading", "Export", "Quick inference", "Your own digit", "Where to go next",
]  # fmt: skip
PICTURED = set(STEPS) - {"The problem", "An honest split", "Compiling and training", "Saving and loading", "Export",
                         "Where to go next"}  # fmt: skip
ANSWER = re.compile(r"<details><summary>Answer</summary>\n\n```python\n(.*?)```\n.+?</details>", re.DOTALL)
SECONDS_PER_CELL = 600
PNG = "image/png"


def read() -> Any:
    return nbformat.read(TOUR, as_version=4)


def texts(notebook: Any) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def sections(notebook: Any) -> dict[str, list[Any]]:
    """Group the cells by the heading above them."""
    found: dict[str, list[Any]] = {}
    for cell in notebook.cells:
        if heading := re.match(r"## \d+\. (.+)", cell.source):
            found[heading[1]] = []
        if found:
            found[list(found)[-1]].append(cell)
    return found


def test_it_is_a_valid_notebook_for_any_python_3() -> None:
    notebook = read()
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(cell.metadata == {} for cell in notebook.cells)


def test_every_learning_step_is_there_in_order_and_in_the_contents() -> None:
    text = texts(read())
    headings = re.findall(r"^## (\d+)\. (.+)$", text, re.MULTILINE)
    assert headings == [(str(number), step) for number, step in enumerate(STEPS, 1)]
    links = re.findall(r"^\d+\. \[(.+?)\]\(#(.+?)\)$", text, re.MULTILINE)
    assert links == [(step, f"{number}.-{step.replace(' ', '-')}") for number, step in enumerate(STEPS, 1)]


def test_every_step_explains_and_most_show_a_picture() -> None:
    for step, cells in sections(read()).items():
        prose = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert len(prose.split()) > 30, step
        if step in PICTURED:
            assert any(PNG in output.get("data", {}) for cell in cells for output in cell.get("outputs", [])), step


def test_it_was_run_from_top_to_bottom_without_errors_or_messages_of_libraries() -> None:
    notebook = read()
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert [each.output_type for each in outputs(notebook) if each.output_type == "error"] == []
    assert [each.text for each in outputs(notebook) if each.get("name") == "stderr"] == []
    printed = "".join(each.text for each in outputs(notebook) if each.output_type == "stream")
    assert "warn" not in printed.lower()
    assert "The data set is mnist." in printed


def test_it_contains_no_path_of_a_machine() -> None:
    content = re.sub(r'"image/png": "[^"]+"', "", TOUR.read_text("utf-8"))
    assert re.findall(r"(?<![\w.:/])/(?:home|root|tmp|usr|work|Users|mnt|opt|var)\b[^\"]*|[A-Z]:\\\\\w", content) == []


def test_it_is_small_and_its_pictures_are_sharp_and_not_too_wide() -> None:
    assert TOUR.stat().st_size < 1_000_000
    widths = [picture_width(each.data[PNG]) for each in outputs(read()) if PNG in each.get("data", {})]
    assert len(widths) >= 20
    assert max(widths) <= 2100  # pixels; twice what a notebook shows
    assert min(widths) >= 800


def picture_width(encoded: str) -> int:
    return int(struct.unpack(">I", base64.b64decode(encoded)[16:20])[0])


def test_its_addresses_are_those_of_the_project() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]
    repository = urls["Homepage"]
    assert repository.startswith("https://github.com/")
    notebook = read()
    badge = re.findall(r"https://colab\.research\.google\.com/github/([\w./-]+)", texts(notebook))
    assert badge == [f"{repository.removeprefix('https://github.com/')}/blob/main/notebooks/tour.ipynb"]
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert re.findall(r"https://github\.com/[\w./-]+", code) == [repository]


def test_there_are_six_to_ten_exercises_each_with_a_hidden_answer_that_has_code_and_words() -> None:
    asked = [cell.source for cell in read().cells if "**Exercise" in cell.source]
    numbers = [int(number) for text in asked for number in re.findall(r"\*\*Exercise (\d+)\.\*\*", text)]
    assert 6 <= len(numbers) <= 10
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(len(ANSWER.findall(text)) == 1 for text in asked)


def test_the_included_extra_has_what_the_notebook_needs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    own = next(each for each in extras["notebook"] if each.startswith("mnist-cnn["))
    wanted = re.search(r'extras = "(\[.+?\])"', "\n".join(cell.source for cell in read().cells))
    assert wanted is not None
    assert own == f"mnist-cnn{wanted[1]}"


def run(notebook: Any, folder: Path) -> Any:
    from nbclient import NotebookClient

    NotebookClient(notebook, timeout=SECONDS_PER_CELL, kernel_name="python3").execute(cwd=str(folder))
    return notebook


def with_answers(notebook: Any) -> Any:
    """Insert the code of every answer as a cell after its exercise."""
    cells = []
    for cell in notebook.cells:
        cells += [cell, *(nbformat.v4.new_code_cell(code) for code in ANSWER.findall(cell.source))]
    notebook.cells = cells
    return notebook


def printed_by(notebook: Any) -> str:
    return "".join(each.text for each in outputs(notebook) if each.output_type == "stream" and each.name == "stdout")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_runs_with_all_answers_on_the_bundled_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without MNIST and without a network."""
    for variable in ("MNIST_CNN_DATA", "KERAS_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MNIST_CNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    for folder in ("work", "home"):
        (tmp_path / folder).mkdir()
    notebook = run(with_answers(read()), tmp_path / "work")
    assert "bundled with scikit-learn are used instead" in printed_by(notebook)
    assert [entry.name for entry in (tmp_path / "work").iterdir()] == ["tour-files"]
    assert_good(notebook, at_least=0.97)


@pytest.mark.mnist
@pytest.mark.timeout(1200)
def test_it_runs_on_mnist(mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_CNN_DATA", str(mnist_dir))
    notebook = run(read(), tmp_path)
    assert "The data set is mnist." in printed_by(notebook)
    assert_good(notebook, at_least=0.985)


def assert_good(notebook: Any, at_least: float) -> None:
    """Check the accuracy that the notebook reports, and that it says nothing on standard error."""
    accuracy = re.search(r"Test accuracy: ([\d.]+)%", printed_by(notebook))
    assert accuracy is not None
    assert float(accuracy[1]) / 100 >= at_least
    assert [each.text for each in outputs(notebook) if each.get("name") == "stderr"] == []
