"""Markdown that the generated parts consist of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; cells may contain inline Markdown."""
    return "\n".join(map(_row, [head, ["---"] * len(head), *rows]))


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def sentence(lines: Iterable[str]) -> str:
    """Write the lines of a comment as a sentence: "angle, degrees" becomes "Angle, degrees."."""
    text = " ".join(lines).strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""
