"""Modules that are imported when a test first uses them, so that collecting tests needs no Keras."""

from __future__ import annotations

import importlib
from typing import Any


class Late:
    """Stands for a module; `Late("keras").Input` is `keras.Input`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_") and attribute != "__version__":  # pytest looks for its marks while it collects
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)
