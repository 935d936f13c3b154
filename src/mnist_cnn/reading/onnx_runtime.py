"""The only import of ONNX Runtime: every module takes it from here, so that its telemetry is off.

From 1.29 on ONNX Runtime reports usage to Microsoft unless the environment variable below is set while it is first
imported. A value that the user has set stays; otherwise the variable is gone again after the import.
"""

from __future__ import annotations

import os

_VARIABLE = "ORT_DISABLE_TELEMETRY"
_IS_OURS = _VARIABLE not in os.environ

os.environ.setdefault(_VARIABLE, "1")

import onnxruntime  # noqa: E402, TID251

if _IS_OURS:
    del os.environ[_VARIABLE]

__all__ = ["onnxruntime"]
