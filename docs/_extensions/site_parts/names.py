"""What single backticks mean in docstrings: a link, if the site documents the name, and code in any case."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes, utils
from docutils.parsers.rst.states import Inliner
from sphinx.domains.python import PyXRefRole

_NAME = re.compile(r"[A-Za-z]\w*(\.\w+)*")  # of Python; `.npz` and `x + 1` are none
_LINK = PyXRefRole()


def name_or_code(
    _role: str, rawtext: str, text: str, line: int, inliner: Inliner, *_more: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Return the nodes of one text in backticks."""
    if _NAME.fullmatch(text):
        return _LINK("py:obj", rawtext, text, line, inliner)
    code = utils.unescape(text)
    return [nodes.literal(rawtext, code)], []
