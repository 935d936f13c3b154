"""Pages whose text is a Markdown file beside `docs/`, where code hosts look for it."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

_LINK = re.compile(r"\]\((?!\w+:|#)([^)]+)\)")  # to a file

# Where each file is in the site.
PAGES = {
    "CHANGELOG.md": "changelog",
    "CODE_OF_CONDUCT.md": "code-of-conduct",
    "CONTRIBUTING.md": "contributing",
    "README.md": "index",
    "SECURITY.md": "security",
}


class RootPage(SphinxDirective):
    """Insert such a file where a page says `{root-page} NAME`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the file."""
        docs = Path(self.env.srcdir)
        file = docs.parent / self.arguments[0]
        self.env.note_dependency(str(file))
        text = _LINK.sub(lambda link: f"]({posixpath.relpath(link[1], docs.name)})", file.read_text("utf-8"))
        return self.parse_text_to_nodes(text, allow_section_headings=True)
