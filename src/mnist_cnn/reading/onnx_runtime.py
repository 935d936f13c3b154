"""The one door to ONNX Runtime: every module takes it from here, so that its telemetry is off before it is loaded.

ONNX Runtime reports to its makers from 1.29 on, unless the environment variable below is set before its first import.
A value that the user has set stays.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # noqa: TID251

__all__ = ["onnxruntime"]
