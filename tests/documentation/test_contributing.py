"""The changes that CONTRIBUTING.md shows are short, and its data set can be learnt; `blocks` runs all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from datasets.idx_files import write_idx
from documentation.blocks import apply_diff
from documentation.page import ROOT, Page

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
ADDITIONS = re.findall(r"^### (An? .*?)\n(.*?)(?=^##)", TEXT, re.DOTALL | re.MULTILINE)
DIFF = re.compile(r"^```diff\n(.*?)^```", re.DOTALL | re.MULTILINE)
NEW_FILE = re.compile(r"`:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)


def lines_of_code(section: str) -> int:
    added = [line for diff in DIFF.findall(section) for line in re.findall(r"^\+(?!\+\+)(.*)", diff, re.MULTILINE)]
    written = [line for content in NEW_FILE.findall(section) for line in content.splitlines()]
    return sum(bool(line.strip()) for line in [*added, *written])


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    page = Page(ROOT / "CONTRIBUTING.md", tmp_path)
    yield page
    page.close()


def test_each_addition_takes_fewer_than_twenty_lines() -> None:
    counts = {title: lines_of_code(section) for title, section in ADDITIONS}
    assert list(counts) == ["A data set", "An architecture", "A recipe", "A metric", "An export format"]
    assert all(5 < count < 20 for count in counts.values()), counts


@pytest.mark.slow
def test_a_network_is_trained_on_the_added_data_set(page: Page, tmp_path: Path) -> None:
    apply_diff(DIFF.findall(dict(ADDITIONS)["A data set"])[0], page, 0)
    for part, count in (("train", 112_800), ("test", 18_800)):
        labels = (np.arange(count) % 47).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 4:24, 10:18] = 5 * labels[:, None, None]
        write_idx(tmp_path / f"emnist-balanced-{part}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"emnist-balanced-{part}-labels-idx1-ubyte", labels)
    code, output = page.run_shell(
        f"mnist-cnn train --recipe conv3 --dataset emnist-balanced --data-dir {tmp_path} --set data.per_class=10"
    )
    assert code == 0, output
    assert "18,800 test images of emnist-balanced" in output
