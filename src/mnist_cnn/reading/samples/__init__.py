"""Eight pictures to try the recogniser with. A program drew them from pen strokes: `scripts/draw_pictures.py`."""

from __future__ import annotations

from pathlib import Path

SAMPLES = Path(__file__).parent

# The file names, and the digit in each; None: no digit, so that it must be rejected.
LABELS: dict[str, int | None] = {
    "ball-pen.jpg": 3,
    "chalk.png": 7,
    "corner.png": 5,
    "felt-tip.jpg": 2,
    "pencil.jpg": 9,
    "white-on-black.png": 6,
    "whiteboard.jpg": 4,
    "cross.png": None,
}
