"""Pictures that are embedded in a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mnist_cnn.evaluation.figures.style import DOTS_PER_INCH

PAGE_DOTS_PER_INCH = 100  # so that a figure's 9 point text is about as large as a caption


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture inside a page."""

    uri: str
    size: tuple[int, int]  # width and height in the page's pixels; the file has more, for dense screens


def embed(pictures: Mapping[str, Path]) -> dict[str, EmbeddedPicture]:
    """Read PNG files by name, for `parts.html` to show."""
    return {name: _embed_one(path) for name, path in pictures.items()}


def _embed_one(path: Path) -> EmbeddedPicture:
    content = path.read_bytes()
    width, height = Image.open(io.BytesIO(content)).size
    scale = PAGE_DOTS_PER_INCH / DOTS_PER_INCH
    uri = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    return EmbeddedPicture(uri, (round(width * scale), round(height * scale)))
