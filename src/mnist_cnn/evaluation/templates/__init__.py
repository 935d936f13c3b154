"""The documents that a run leaves, as Jinja templates, and how they are filled in."""

from __future__ import annotations

import functools
from typing import Any

import jinja2

from mnist_cnn.reading import palette


def render(template: str, **values: Any) -> str:
    """Fill in one of the templates in this folder; a missing value is an error, and HTML is escaped."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mnist_cnn.evaluation", "templates"),
        autoescape=jinja2.select_autoescape(["html"]),  # Markdown is escaped by `cell` and `tojson` where needed
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": percent, "thousands": "{:,.0f}".format, "duration": duration, "cell": cell}
    environment.filters["spaced"] = spaced
    environment.globals["colours"] = palette
    return environment


def percent(share: float, digits: int = 2) -> str:
    """Write a share as percent with a narrow no-break space: 99.43 %."""
    return spaced(f"{share:.{digits}%}")


def spaced(text: str) -> str:
    """Set a narrow no-break space before each percent sign."""
    return text.replace("%", "\u202f%")


def duration(seconds: float) -> str:
    """Write a time for people: 4.2 s, 58 s, 3 min 5 s, 1 h 12 min."""
    if seconds < 60:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def cell(value: object) -> str:
    """Write a value so that it stays inside one cell of a Markdown table and is not read as HTML."""
    text = " ".join(str(value).split())
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
