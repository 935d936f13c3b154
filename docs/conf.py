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

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "site_parts"]
exclude_patterns = ["_extensions"]
nb_execution_mode = "off"  # the notebook is stored with its outputs
nb_render_markdown_format = "gfm"  # which has tables

myst_heading_anchors = 4  # links to headings (page.md#heading) are checked like links to pages

default_role = "name-or-code"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"NDArray": "NDArray"}  # otherwise written out
maximum_signature_line_length = 88
strip_signature_backslash = True  # so that Napoleon escapes names like `classes_`
python_use_unqualified_type_names = True

# The build has no network, so it cannot look up the documentation of other projects. Their types are the only names
# that may remain without a link; a reference to an unknown name of this package fails the build.
nitpick_ignore_regex = [
    ("py:obj", r".*"),  # names in docstrings that are not documented here are code
    ("py:(class|exc)", r"(collections|numpy|np|os|pathlib|typing|keras|keras_tuner|sklearn)\..*"),
    (
        "py:(class|exc)",
        r"(NDArray|ArrayLike|Path|Any|Callable|Iterable|Iterator|Mapping|Sequence|NotFittedError|FailedTrialError)",
    ),
    # Names of this package for several types at once, and what the readers are made of.
    (
        "py:class",
        r".*\b(Images|ImageSource|Pixels|Source|Steps|Progress|Length|(Line)?Network|NumberMetadata|SecondOpinion)",
    ),
]

html_theme = "furo"
html_title = "mnist-cnn"
# The colours of src/mnist_cnn/reading/palette.py, lighter on dark pages.
html_theme_options = {
    f"{mode}_css_variables": {
        "color-brand-primary": blue,
        "color-brand-content": blue,
        "color-brand-visited": blue,
        "color-foreground-primary": text,
        "color-foreground-muted": muted,
        "color-api-name": blue,
        "color-api-pre-name": muted,
    }
    for mode, blue, text, muted in (
        ("light", "#0072B2", "#1B2733", "#5D6975"),
        ("dark", "#56B4E9", "#E6EBF0", "#A3AFBB"),
    )
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
copybutton_prompt_text = "$ "
