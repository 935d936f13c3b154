"""Plain pages for people who look at the API with a browser: one shell, one kind of table, no script but a theme."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="theme-color" content="#f5f7f9">
<title>{title}</title>
<link rel="icon" href="page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="page/docs.css">
<script src="page/theme.js"></script>
</head>
<body>
{body}
</body>
</html>
"""


def write_page(title: str, body: str) -> str:
    """Write a whole page around `body`, which is HTML already; `title` is not."""
    return _PAGE.format(title=escape(title), body=body)


def write_table(title: str, rows: Iterable[tuple[str, ...]]) -> str:
    """Write rows of HTML as a table; nothing where there are no rows."""
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    return f"<table><caption>{title}</caption>{''.join(lines)}</table>" if lines else ""
