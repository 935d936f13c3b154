"""Parts of the documentation site that are generated when it is built, so that they cannot disagree with the code."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from site_parts import command_line, http_api, recipes, run_folder, settings, tour
from site_parts.names import name_or_code
from site_parts.outside_links import OutsideLinks
from site_parts.root_page import RootPage

_PARTS = {
    "command-line": command_line.describe,
    "http-api": http_api.describe,
    "recipes": recipes.describe,
    "run-folder": run_folder.describe,
    "server-settings": settings.describe_server,
    "settings": settings.describe_training,
}


class Generated(SphinxDirective):
    """Insert one of the parts, as Markdown, where a page says `{generated} NAME`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the part."""
        return self.parse_text_to_nodes(_PARTS[self.arguments[0]](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the parts; Sphinx calls this."""
    tour.copy(app)
    app.add_role("name-or-code", name_or_code)
    app.add_directive("generated", Generated)
    app.add_directive("root-page", RootPage)
    app.add_transform(OutsideLinks)
    return {"parallel_read_safe": True}
