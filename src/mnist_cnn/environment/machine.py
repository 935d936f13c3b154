"""What a run depends on apart from its configuration: versions and hardware."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

_PACKAGES = ("mnist-cnn", "keras", "tensorflow", "jax", "torch", "numpy", "opencv-python-headless", "scikit-learn")
# Instruction sets that decide how fast a processor trains, as Linux names them.
_FEATURES = (
    *("avx", "avx2", "fma", "avx_vnni"),
    *("avx512f", "avx512_vnni", "avx512_bf16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
)
# Generations of AMD's processors by family and model, from Linux' arch/x86/kernel/cpu/amd.c.
_ZEN = (
    ("Zen 3", 25, (range(0x10), range(0x20, 0x60))),
    ("Zen 4", 25, (range(0x10, 0x20), range(0x60, 0xB0))),
    ("Zen 5", 26, (range(0x30), range(0x40, 0x50), range(0x60, 0x80))),
)
ONEDNN_VARIABLE = "TF_ENABLE_ONEDNN_OPTS"  # TensorFlow reads it at import; worker processes inherit it
_X86 = ("x86_64", "amd64")  # on Linux and macOS, and on Windows
_WITH_BFLOAT16 = ("BF16", "FP16", "AMX", "AVX10")  # substrings of oneDNN's names of instruction sets


def usable_cores() -> int:
    """Count the cores that this process may use; it may be restricted to some of the machine's."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_environment() -> dict[str, Any]:
    """Return the versions of Python and packages, and the machine's hardware, as values for JSON."""
    import psutil

    return {
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := package_version(name))},
        "platform": platform.platform(),
        "processor": processor_name(),
        "processor_features": processor_features(),
        "onednn_confined_to": _confinement(),
        "cores": usable_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "bfloat16": has_bfloat16(),
    }


def processor_name() -> str:
    """Return the processor's marketing name if the system reports it, and the generation if a machine hides it."""
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    return f"{name} ({generation})" if name == "AMD EPYC" and (generation := _zen_generation()) else name


def _zen_generation() -> str:
    """Return the generation of a processor by AMD; empty if it is not known."""
    family, model = _cpuinfo("cpu family"), int(_cpuinfo("model") or -1)
    found = (name for name, number, models in _ZEN if str(number) == family and any(model in each for each in models))
    return next(found, "")


def processor_features() -> list[str]:
    """Return the instruction sets that decide how fast the processor trains, as far as the system reports them."""
    flags = set(_cpuinfo("flags").split())
    return [feature for feature in _FEATURES if feature in flags]


def nvidia_gpus(driver: Path = Path("/proc/driver/nvidia")) -> list[str]:
    """Return the names of the GPUs that NVIDIA's driver for Linux reports; whether a backend uses them is not asked."""
    return [_value(path.read_text(encoding="utf-8"), "Model") for path in sorted(driver.glob("gpus/*/information"))]


def is_x86() -> bool:
    """Return whether the processor is of the x86 family."""
    return platform.machine().lower() in _X86


def onednn_setting() -> bool | None:
    """Return whether oneDNN is switched on or off by the user's environment; None if it is not set."""
    return {"1": True, "true": True, "0": False, "false": False}.get(os.environ.get(ONEDNN_VARIABLE, "").lower())


def label_processor(environment: dict[str, Any]) -> str:
    """Label a figure with the processor it was measured on: `AMD EPYC (Zen 3) (2 cores: avx2, fma)`.

    Args:
        environment: From `describe_environment`, or saved in a run.
    """
    cores = environment["cores"]
    features = ", ".join(environment.get("processor_features", [])) or "instruction sets unknown"
    confined = environment.get("onednn_confined_to")
    limit = f"; oneDNN limited to {confined}" if confined else ""
    return f"{environment['processor']} ({cores} core{'s' if cores > 1 else ''}: {features}{limit})"


def has_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 matrices in hardware; without, bfloat16 is slower than float32.

    False if the user restricts oneDNN to older instructions: its convolutions then fail in bfloat16.
    """
    confined = _confinement()
    is_free = not confined or any(word in confined for word in _WITH_BFLOAT16)
    return is_free and bool({"avx512_bf16", "amx_bf16"} & set(processor_features()))


def peak_memory_gib() -> float:
    """Return the peak memory use of this process, GiB (0 if the system does not report it)."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20


def _confinement() -> str:
    """Return the newest instruction set that oneDNN may use; empty if it is not restricted."""
    name = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return "" if name in ("DEFAULT", "ALL") else name


def package_version(package: str) -> str:
    """Return the version of an installed package; empty if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")  # Linux only
    if not path.exists():
        return ""
    return _value(path.read_text(), key)


def _value(text: str, key: str) -> str:
    """Return the value in the first line `key: value`; empty if there is none."""
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")
