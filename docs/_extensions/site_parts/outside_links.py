"""Links from pages to Markdown files outside of `docs/`, such as a model card.

MyST includes any other file that a page links to in the site as a download, but looks for a page where a link ends in
`.md`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sphinx import addnodes
from sphinx.transforms import SphinxTransform

from site_parts.root_page import PAGES


class OutsideLinks(SphinxTransform):
    """Turn links to Markdown files outside of `docs/` into links to their pages, or into downloads."""

    default_priority = 500

    def apply(self, **_options: Any) -> None:
        """Change the links of one page; a file that does not exist stays a broken link, which fails the build."""
        for link in list(self.document.findall(addnodes.pending_xref)):
            target = Path(link.get("reftarget", ""))
            if link.get("refdomain") != "doc" or not target.is_absolute():
                continue
            place = Path(os.path.relpath(f"{target}.md", self.env.srcdir)).as_posix()
            if Path(place).parent == Path("..") and Path(place).name in PAGES:
                link["reftarget"] = PAGES[Path(place).name]
            else:
                link.replace_self(
                    addnodes.download_reference("", "", *link.children, refdoc=self.env.docname, reftarget=f"/{place}")
                )
