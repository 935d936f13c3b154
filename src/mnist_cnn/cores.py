"""How many processor cores there are to share work between."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Count the cores that this process may use: fewer than the machine's where it is confined."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
