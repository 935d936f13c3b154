"""Settings of the documentation site.

Build it with: sphinx-build -W --keep-going -n -b html docs build/docs
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "mnist-cnn"
author = "the authors of mnist-cnn"
release = version = importlib.metadata.version("mnist-cnn")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "site_parts"]

# Links to headings (page.md#heading) are checked like links to pages.
myst_heading_anchors = 4

exclude_patterns = ["_extensions"]

html_theme = "furo"
html_title = "mnist-cnn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_prompt_text = "$ "
