"""Pictures that are embedded in a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from mnist_cnn.evaluation.figures.style import DOTS_PER_INCH

PAGE_DOTS_PER_INCH = 100  # so that a figure's 9 point text is about as large as a caption


def embed(pictures: Mapping[str, Path]) -> dict[str, tuple[str, int, int]]:
    """Read PNG files by name: address, width and height in the page's pixels. Files have more, for dense screens."""
    return {name: _embed_one(path) for name, path in pictures.items()}


def _embed_one(path: Path) -> tuple[str, int, int]:
    content = path.read_bytes()
    width, height = Image.open(io.BytesIO(content)).size
    scale = PAGE_DOTS_PER_INCH / DOTS_PER_INCH
    uri = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    return uri, round(width * scale), round(height * scale)
