"""The guided tour as a page. Sphinx reads only files in `docs/`, so each build copies the notebook there."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

_NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "tour.ipynb"
_PAGE = "tutorials/tour.ipynb"
_BADGE = re.compile(r'"\[!\[Open in Colab\][^"]*\\n",\n')  # a picture from another host, which the site does not ask
_HEADING = re.compile(r"\(#(\d+)\.-([\w-]+)\)")  # Jupyter's form of a link to a heading


def copy(app: Sphinx) -> None:
    """Write the notebook into the site's folder, without the badge and with links in the form of the site."""
    text = _BADGE.sub("", _NOTEBOOK.read_text("utf-8"))
    text = _HEADING.sub(lambda found: f"(#{found[1]}-{found[2].lower()})", text)
    page = Path(app.srcdir) / _PAGE
    if not page.exists() or page.read_text("utf-8") != text:  # an unchanged page need not be read again
        page.write_text(text, "utf-8")
