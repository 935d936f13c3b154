"""What a run depends on besides its configuration: versions, hardware, and what the seed cannot fix."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

_PACKAGES = (
    "mnist-cnn",
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "numpy",
    "opencv-python-headless",
    "scikit-learn",
)
# What decides how fast a processor trains, by the names that Linux gives them.
_FEATURES = (
    *("avx", "avx2", "fma", "avx_vnni"),
    *("avx512f", "avx512_vnni", "avx512_bf16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
)
_WITH_BFLOAT16 = ("BF16", "FP16", "AMX", "AVX10")  # in the names of oneDNN's instruction sets


def usable_cores() -> int:
    """Count the cores that this process may use: fewer than the machine's where it is confined."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_environment() -> dict[str, Any]:
    """Give Python's and the packages' versions and the machine's size, as JSON-able values."""
    import psutil

    return {
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "platform": platform.platform(),
        "processor": processor_name(),
        "processor_features": processor_features(),
        "onednn_confined_to": _confinement(),
        "cores": usable_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "bfloat16": has_bfloat16(),
    }


def processor_name() -> str:
    """Give the processor's marketing name where the system tells it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor_features() -> list[str]:
    """Give the instruction sets that decide how fast the processor trains; none where the system does not tell."""
    flags = set(_cpuinfo("flags").split())
    return [feature for feature in _FEATURES if feature in flags]


def label_processor(environment: dict[str, Any]) -> str:
    """Label a figure with the processor it was measured on: `AMD EPYC (2 cores: avx2, fma)`.

    Args:
        environment: As `describe_environment` gives it, and runs keep it.
    """
    cores = environment["cores"]
    features = ", ".join(environment.get("processor_features", [])) or "instruction sets unknown"
    confined = environment.get("onednn_confined_to")
    limit = f"; oneDNN confined to {confined}" if confined else ""
    return f"{environment['processor']} ({cores} core{'s' if cores > 1 else ''}: {features}{limit})"


def has_bfloat16() -> bool:
    """Say whether this processor multiplies bfloat16 matrices in hardware, without which it is slower than float32.

    No where the user confines oneDNN to instructions that do not: its convolutions then fail in bfloat16.
    """
    confined = _confinement()
    is_free = not confined or any(word in confined for word in _WITH_BFLOAT16)
    return is_free and bool({"avx512_bf16", "amx_bf16"} & set(processor_features()))


def peak_memory_gib() -> float:
    """Give the most memory that this process ever held, GiB (0 where the system does not tell)."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20


def _confinement() -> str:
    """Give the newest instruction set that oneDNN may use; empty where it may use all that the processor has."""
    name = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return "" if name in ("DEFAULT", "ALL") else name


def _version(package: str) -> str:
    import importlib.metadata  # costs 14 ms, and reading a digit does not need it

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")  # Linux only; elsewhere nothing is claimed
    if not path.exists():
        return ""
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")
