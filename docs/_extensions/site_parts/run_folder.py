"""The files of a run folder, from the class that names them."""

from __future__ import annotations

from pathlib import Path

from sphinx.pycode import ModuleAnalyzer

from mnist_cnn.runs import RunFolder
from site_parts.markdown import sentence, table


def describe() -> str:
    """Describe every file and folder in a table."""
    run = RunFolder(Path())
    comments = ModuleAnalyzer.for_module(RunFolder.__module__).find_attr_docs()
    rows = [
        (f"`{getattr(run, name)}`", f"`{name}`", sentence(comments[kind, name]))
        for kind, name in comments
        if kind == RunFolder.__name__
    ]
    return table(("file", "attribute of `RunFolder`", "content"), rows)
