"""Fixtures of the tests of bulk reading."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mnist_cnn.bulk.parts import IMAGES
from mnist_cnn.reading.scaling import bundled_digits

PARTS = 20


@pytest.fixture(scope="session")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of digits, enough for several parts, in two folders, and one damaged file."""
    folder = tmp_path_factory.mktemp("forms")
    (folder / "inside").mkdir()
    digits = bundled_digits(10).images
    for index in range(PARTS * IMAGES - 10):
        path = folder / ("inside" if index % 3 else "") / f"{index:04}.png"
        if index < len(digits):
            Image.fromarray(255 - digits[index]).resize((56, 56)).save(path)
        else:
            path.symlink_to(folder / ("inside" if index % len(digits) % 3 else "") / f"{index % len(digits):04}.png")
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    return folder
