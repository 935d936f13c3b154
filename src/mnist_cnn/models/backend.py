"""The only module that imports Keras: it first sets the environment variables that the backend reads at start.

By default, TensorFlow enables its oneDNN kernels only on processors with AVX-512 VNNI, AMX or the like. On other x86
processors, training takes three to four times as long without them (`benchmarks/epoch_time.py`, `docs/results.md`), so
this module enables them unless the user has set the variable.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator

from mnist_cnn.environment.machine import ONEDNN_VARIABLE, is_x86, onednn_setting, processor_features
from mnist_cnn.errors import SettingError

# With one of these, TensorFlow 2.21 enables oneDNN by default (tensorflow/core/util/port.cc).
_AUTOMATIC_WITH = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}


def _enable_onednn() -> None:
    if not is_x86() or ONEDNN_VARIABLE in os.environ:  # other processors were not measured
        return
    if "tensorflow" not in sys.modules:
        os.environ[ONEDNN_VARIABLE] = "1"
    elif not _AUTOMATIC_WITH & set(processor_features()):
        warnings.warn(
            "TensorFlow was imported before mnist_cnn, so its oneDNN kernels are disabled and training takes three to "
            f"four times as long on this processor. Import mnist_cnn.models.backend first, or set {ONEDNN_VARIABLE}=1.",
            RuntimeWarning,
            stacklevel=2,
        )


_enable_onednn()

import keras  # noqa: E402, TID251 - the variable comes first
from keras import layers, ops  # noqa: E402, TID251

__all__ = ["ONEDNN_VARIABLE", "dtype_policy", "keras", "layers", "onednn_state", "ops", "require_tensorflow"]


def onednn_state() -> str:
    """Return whether TensorFlow uses oneDNN in this process: `on`, `off`, or `not used` on another backend."""
    if keras.backend.backend() != "tensorflow":
        return "not used"
    setting = onednn_setting()
    is_on = bool(_AUTOMATIC_WITH & set(processor_features())) if setting is None else setting
    return "on" if is_on else "off"


@contextlib.contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Let Keras build layers in this precision, `float32` or `mixed_bfloat16`; restore the policy afterwards."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


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
