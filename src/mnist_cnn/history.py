"""The history of a training: one row per finished epoch, and which of them is the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, float | int]  # epoch (1-based), loss, accuracy, val_loss, val_accuracy, learning_rate, seconds


def best_epoch(history: Sequence[Mapping[str, Any]], monitor: str) -> int:
    """Give the epoch (1-based) with the best validation result, the earliest of equals; without validation the last.

    Args:
        history: At least one row; a value that is no number counts as absent.
        monitor: "loss", of which the lowest is the best, or "accuracy", of which the highest is.
    """
    key, sign = f"val_{monitor}", -1 if monitor == "accuracy" else 1
    judged = [row for row in history if isinstance(row.get(key), int | float) and math.isfinite(row[key])]
    chosen = min(judged, key=lambda row: float(sign * row[key])) if judged else history[-1]
    return int(chosen["epoch"])
