from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from check_documents import FIRST_BLOCKS, ROOT, Place, check, find_commands, frame, make_table


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A small repository in which everything agrees."""
    for name in ("benchmarks/results", "src/mnist_cnn/recipes"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    place = Place(tmp_path)
    tables = "\n\n".join(frame(title, make_table(place, title)) for title in ("recipes", "commands", "comparison"))
    blocks = "\n".join(f"```sh\n{block}```\n" for block in FIRST_BLOCKS)
    (tmp_path / "README.md").write_text(
        f"# mnist-cnn\n\nPython ≥ 3.11, MIT. Try `mnist-cnn demo`.\n\n{blocks}\n{tables}\n", "utf-8"
    )
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page.md").write_text("Use `mnist-cnn train --epochs 3`.\n", "utf-8")
    return place


def doctor(place: Place, old: str, new: str) -> str:
    """Replace a piece of the README and give the problems that this makes."""
    text = place.read("README.md")
    assert old in text
    (place.root / "README.md").write_text(text.replace(old, new, 1), "utf-8")
    return "\n".join(check(place))


def test_a_true_readme_has_no_problems(place: Place) -> None:
    assert list(check(place)) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Try", "word " * 900, "at most 900"),
        ("-e '.[train]'", "'.[train]'", "block 1 must be"),
        ("-n 2", "-n 4", "block 2 must be"),
        ("| 103,898 |", "| 103,889 |", "the table 'recipes' must be"),
        ("| `mnist-cnn demo`", "| `mnist-cnn show`", "the table 'commands' must be"),
        ("| read one image of", "| read 1 image of", "the table 'comparison' must be"),
        ("<!-- table: recipes -->", "", "lacks this table"),
        ("<!-- table: recipes -->", "<!-- table: receipts -->", "unknown table 'receipts'"),
        ("mnist-cnn demo", "mnist-cnn dmeo", "unknown command 'dmeo'"),
        ("mnist-cnn demo", "mnist-cnn demo --verbose", "unknown option --verbose"),
        ("Python ≥ 3.11", "Python ≥ 3.9", "must name Python 3.11"),
        ("MIT", "BSD", "the licence, MIT"),
    ],
)
def test_a_doctored_readme_is_found_out(place: Place, old: str, new: str, message: str) -> None:
    assert message in doctor(place, old, new)


def test_other_pages_are_checked_too(place: Place) -> None:
    (place.root / "docs/page.md").write_text("```sh\nmnist-cnn train \\\n  --epoch 3\n```\n", "utf-8")

    assert list(check(place)) == ["docs/page.md:2: mnist-cnn train --epoch 3: unknown option --epoch."]


def test_a_recipe_that_promises_more_than_was_recorded_is_found_out(place: Place) -> None:
    recipe = place.root / "src/mnist_cnn/recipes/quick.toml"
    recipe.write_text(re.sub(r"(expected_accuracy = \")[\d.]+", r"\g<1>99.99", recipe.read_text("utf-8")), "utf-8")

    [problem] = check(place)

    assert "quick.toml" in problem
    assert "expected_accuracy" in problem


def test_tables_and_recipes_can_be_written(place: Place) -> None:
    doctor(place, "| 103,898 |", "| 103,889 |")
    place.is_writable = True

    assert list(check(place)) == []
    place.is_writable = False
    assert list(check(place)) == []


def test_commands_are_found_with_their_lines() -> None:
    text = "`mnist-cnn demo`\n\n```sh\ncd x && mnist-cnn train --epochs 2 | tail\n```\nmnist-cnn is new."

    assert [(line, words) for line, words in find_commands(text)] == [
        (4, ["train", "--epochs", "2"]),
        (1, ["demo"]),
    ]
