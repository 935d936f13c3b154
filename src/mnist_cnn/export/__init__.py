"""A trained network in the formats of other runtimes, each checked against the original before it is put in place."""

from __future__ import annotations

INPUT, OUTPUT = "image", "probabilities"  # the names by which every exported model is asked
MAX_DROP = 0.05  # percentage points of accuracy that int8 may cost, unless told otherwise
