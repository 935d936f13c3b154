"""Export a trained network to the formats of other runtimes. Each file is checked against the original."""

from __future__ import annotations

INPUT, OUTPUT = "image", "probabilities"  # names of the input and output tensor of every exported model
MAX_DROP = 0.05  # default limit on the accuracy that int8 may cost, in percentage points
