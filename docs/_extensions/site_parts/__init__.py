"""Parts of the documentation site that are generated when it is built, so that they cannot disagree with the code."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from site_parts.outside_links import OutsideLinks


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the parts; Sphinx calls this."""
    app.add_transform(OutsideLinks)
    return {"parallel_read_safe": True}
