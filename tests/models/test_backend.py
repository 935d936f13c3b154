"""What Keras' backend is told before it starts, each in a fresh process."""

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
import numpy as np
from mnist_cnn import build_model
build_model("vgg", {"filters": [4]}, 10).predict(np.zeros((1, 28, 28, 1)), verbose=0)
from mnist_cnn.models.backend import onednn_state
print("state:", onednn_state())
"""


def run_python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("TF_ENABLE_ONEDNN_OPTS", "KERAS_BACKEND")}
    environment = {**kept, "ONEDNN_VERBOSE": "1", **variables}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)


def test_convolutions_are_computed_by_onednn_on_every_x86_processor() -> None:
    done = run_python(PREDICT)
    assert "exec,cpu,convolution" in done.stdout, "oneDNN itself reports every operation that it computes"
    assert "state: on" in done.stdout


def test_the_users_own_setting_wins() -> None:
    done = run_python(PREDICT, TF_ENABLE_ONEDNN_OPTS="0")
    assert "exec,cpu,convolution" not in done.stdout
    assert "state: off" in done.stdout


@pytest.mark.parametrize(("features", "warned"), [(["avx", "avx2"], True), (["avx2", "avx512_vnni"], False)])
def test_tensorflow_imported_too_early_is_said_where_it_matters(features: list[str], warned: bool) -> None:
    code = f"""
import sys, types, warnings
sys.modules["tensorflow"] = None  # stands for one that was imported before
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
    done = run_python(code)
    assert ("Import mnist_cnn.models.backend first, or set TF_ENABLE_ONEDNN_OPTS=1" in done.stdout) == warned


def test_worker_processes_inherit_the_setting() -> None:
    code = """
import subprocess, sys
import mnist_cnn.models.backend
subprocess.run([sys.executable, "-c", "import os; print('inherited', os.environ['TF_ENABLE_ONEDNN_OPTS'])"], check=True)
"""
    assert "inherited 1" in run_python(code).stdout
