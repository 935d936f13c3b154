"""The environment variables that Keras' backend reads at start, each in a new process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="oneDNN IS NOT SWITCHED ON HERE: not an x86 processor"
)

PREDICT = """
import subprocess, sys
import numpy as np
from mnist_cnn import build_model
build_model("vgg", {"filters": [4]}, 10).predict(np.zeros((1, 28, 28, 1)), verbose=0)
from mnist_cnn.models.backend import onednn_state
print("state:", onednn_state())
subprocess.run([sys.executable, "-c", "import os; print('inherited', os.environ['TF_ENABLE_ONEDNN_OPTS'])"], check=True)
"""


def run_python(code: str, **variables: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in ("TF_ENABLE_ONEDNN_OPTS", "KERAS_BACKEND")}
    environment = {**kept, "ONEDNN_VERBOSE": "1", **variables}
    words = [sys.executable, "-c", code]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout


def test_onednn_computes_convolutions_on_every_x86_processor() -> None:
    said = run_python(PREDICT)
    assert "exec,cpu,convolution" in said, "oneDNN itself reports every operation"
    assert "state: on" in said
    assert "inherited 1" in said, "worker processes have the setting too"


@pytest.mark.slow
def test_the_users_own_setting_wins() -> None:
    said = run_python(PREDICT, TF_ENABLE_ONEDNN_OPTS="0")
    assert "exec,cpu,convolution" not in said
    assert "state: off" in said


@pytest.mark.parametrize(("features", "warned"), [(["avx", "avx2"], True), (["avx2", "avx512_vnni"], False)])
def test_a_too_early_import_of_tensorflow_is_reported_if_it_matters(features: list[str], warned: bool) -> None:
    code = f"""
import sys, types, warnings
sys.modules["tensorflow"] = None  # as if it had been imported before
from mnist_cnn.environment import machine as environment
environment.processor_features = lambda: {features}
warnings.simplefilter("error", RuntimeWarning)
try:
    import mnist_cnn.models.backend
except RuntimeWarning as warning:
    print("warned:", warning)
except ImportError:
    pass  # Keras finds no TensorFlow
"""
    said = run_python(code)
    assert ("Import mnist_cnn.models.backend first, or set TF_ENABLE_ONEDNN_OPTS=1" in said) == warned
