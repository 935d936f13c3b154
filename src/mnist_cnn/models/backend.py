"""The one door through which Keras is imported: what its backend reads when it starts is set here.

TensorFlow switches its oneDNN kernels on by itself only on processors with AVX-512 VNNI, AMX or the like. On other
x86 processors training takes three to four times as long without them (`benchmarks/epoch_time.py`, README), so this
module switches them on, unless the user has set the variable.
"""

from __future__ import annotations

import os
import platform
import sys
import warnings

from mnist_cnn.environment.machine import processor_features
from mnist_cnn.errors import SettingError

ONEDNN_VARIABLE = "TF_ENABLE_ONEDNN_OPTS"  # TensorFlow reads it when it is imported; worker processes inherit it
_X86 = ("x86_64", "amd64")  # as Linux and macOS, and as Windows call it; nothing was measured on others
# With one of these TensorFlow 2.21 switches oneDNN on by itself (tensorflow/core/util/port.cc).
_AUTOMATIC_WITH = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}


def _switch_on_onednn() -> None:
    if platform.machine().lower() not in _X86 or ONEDNN_VARIABLE in os.environ:
        return
    if "tensorflow" not in sys.modules:
        os.environ[ONEDNN_VARIABLE] = "1"
    elif not _AUTOMATIC_WITH & set(processor_features()):
        warnings.warn(
            "TensorFlow was imported before mnist_cnn, so its oneDNN kernels stay off and training takes three to four "
            f"times as long on this processor. Import mnist_cnn.models.backend first, or set {ONEDNN_VARIABLE}=1.",
            RuntimeWarning,
            stacklevel=2,
        )


_switch_on_onednn()

import keras  # noqa: E402, TID251 - this is the door, and the variable comes first
from keras import layers, ops  # noqa: E402, TID251

__all__ = ["ONEDNN_VARIABLE", "keras", "layers", "onednn_state", "ops", "require_tensorflow"]


def onednn_state() -> str:
    """Say whether TensorFlow computes with oneDNN in this process: `on`, `off`, or `not used` on another backend."""
    if keras.backend.backend() != "tensorflow":
        return "not used"
    automatic = "on" if _AUTOMATIC_WITH & set(processor_features()) else "off"
    value = os.environ.get(ONEDNN_VARIABLE, "").lower()
    return {"1": "on", "true": "on", "0": "off", "false": "off"}.get(value, automatic)


def require_tensorflow(purpose: str) -> None:
    """Check that Keras runs on TensorFlow.

    Args:
        purpose: What TensorFlow is needed for: "… by TensorFlow" is a sentence.

    Raises:
        SettingError: Keras runs on another backend.
    """
    if keras.backend.backend() != "tensorflow":
        raise SettingError(
            f"{purpose} by TensorFlow, but Keras runs on {keras.backend.backend()}. Run the command again with "
            "KERAS_BACKEND=tensorflow: model files are the same on every backend."
        )
