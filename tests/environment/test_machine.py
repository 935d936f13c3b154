from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mnist_cnn.environment import machine


def test_the_environment_can_be_saved() -> None:
    described = machine.describe_environment()
    assert json.loads(json.dumps(described)) == described
    assert described["packages"]["numpy"] == np.__version__
    assert described["cores"] >= 1
    assert described["memory_gib"] > 0.1
    assert described["processor"]


@pytest.mark.parametrize(
    ("flags", "expected"), [("fpu avx512_bf16 sse", True), ("amx_bf16", True), ("avx512f avx512_bf16x", False)]
)
def test_bfloat16_is_detected_by_the_processors_flags(
    monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda _: f"model name\t: A Processor: 3 GHz\nflags\t\t: {flags}\n")
    assert machine.has_bfloat16() == expected
    assert machine.processor_name() == "A Processor: 3 GHz"


@pytest.mark.parametrize(
    ("limit", "expected"), [("AVX2", False), ("avx512_core", False), ("AVX512_CORE_BF16", True), ("DEFAULT", True)]
)
def test_bfloat16_needs_onednns_permission(monkeypatch: pytest.MonkeyPatch, limit: str, expected: bool) -> None:
    monkeypatch.setattr(machine, "processor_features", lambda: ["avx2", "avx512_bf16"])
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert machine.has_bfloat16() == expected


def test_a_label_names_the_instruction_sets() -> None:
    described = {"processor": "A Processor", "cores": 2, "processor_features": ["avx2", "fma"]}
    assert machine.label_processor(described) == "A Processor (2 cores: avx2, fma)"
    described["onednn_confined_to"] = "AVX2"
    assert machine.label_processor(described).endswith("(2 cores: avx2, fma; oneDNN limited to AVX2)")
    del described["onednn_confined_to"]
    del described["processor_features"]  # a run of an earlier version
    assert machine.label_processor(described) == "A Processor (2 cores: instruction sets unknown)"


@pytest.mark.parametrize(
    ("family", "model", "expected"),
    [
        (25, 1, " (Zen 3)"),
        (25, 17, " (Zen 4)"),
        (25, 0x61, " (Zen 4)"),
        (26, 2, " (Zen 5)"),
        (25, 0x21, " (Zen 3)"),
        (26, 0x50, ""),
        (23, 49, ""),
    ],
)
def test_the_generation_of_a_virtual_processor_is_named(
    monkeypatch: pytest.MonkeyPatch, family: int, model: int, expected: str
) -> None:
    text = f"cpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: AMD EPYC\n"
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda _: text)
    assert machine.processor_name() == f"AMD EPYC{expected}"


def test_gpus_are_named_by_their_driver(tmp_path: Path) -> None:
    assert machine.nvidia_gpus(tmp_path) == []
    for address in ("0000:01:00.0", "0000:02:00.0"):
        folder = tmp_path / "gpus" / address
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t NVIDIA X\nIRQ:   \t\t 7\nBus Location: \t {address}\n")
    assert machine.nvidia_gpus(tmp_path) == ["NVIDIA X", "NVIDIA X"]


def test_without_cpuinfo_no_bfloat16_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert not machine.has_bfloat16()
    assert machine.processor_name()


def test_the_peak_memory_is_in_gib() -> None:
    block = np.ones(2**27, np.uint8)  # 1/8 GiB
    assert block.nbytes / 2**30 < machine.peak_memory_gib() < 200
