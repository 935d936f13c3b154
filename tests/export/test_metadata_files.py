"""Metadata of exported files: what is foreign or damaged is detected."""

from __future__ import annotations

import contextlib
import json
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from export.networks import tiny_network
from mnist_cnn.errors import ModelFileError
from mnist_cnn.export.formats import FORMATS
from mnist_cnn.export.formats.saved_model import METADATA as IN_SAVED_MODEL
from mnist_cnn.export.metadata_files import MEMBER, attach
from mnist_cnn.reading.metadata import ModelMetadata

METADATA = ModelMetadata(("a", "ä"), temperature=1.25, rejection_threshold=0.75, dataset="letters", accuracy=0.5)


@pytest.fixture(scope="module")
def onnx_content() -> bytes:
    from mnist_cnn.export.onnx_graph import to_onnx

    return to_onnx(tiny_network(), METADATA)


def write_each(folder: Path, text: str) -> list[tuple[str, Path]]:
    """Write `text` to where each format but ONNX keeps its metadata."""
    saved, openvino = folder / "saved_model", folder / "openvino"
    for file in (saved / IN_SAVED_MODEL, openvino / "metadata.json"):
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    archives = [("keras", folder / "model.keras"), ("litert", folder / "model.tflite")]
    archives[1][1].write_bytes(b"a model, not an archive")
    for _, path in archives:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(MEMBER, text)
    return [("savedmodel", saved), ("openvino", openvino), *archives]


def test_metadata_can_be_read_back_from_each_format(tmp_path: Path, onnx_content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx_content)
    places = [*write_each(tmp_path, json.dumps(METADATA.to_strings())), ("onnx", tmp_path / "model.onnx")]
    for name, path in places:
        assert FORMATS[name].read_metadata(path) == METADATA, path
    assert (tmp_path / "model.tflite").read_bytes().startswith(b"a model, not an archive")


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, json.dumps({"mnist_cnn.temperature": "1"})])
def test_damaged_metadata_are_refused(tmp_path: Path, text: str) -> None:
    for name, path in write_each(tmp_path, text):
        with pytest.raises(ModelFileError, match="damaged"):
            FORMATS[name].read_metadata(path)


def test_files_of_other_programs_have_no_metadata(tmp_path: Path) -> None:
    from mnist_cnn.export.onnx_graph import to_onnx

    foreign = write_each(tmp_path, json.dumps({"author": "somebody"}))
    (tmp_path / "foreign.onnx").write_bytes(to_onnx(tiny_network()))
    (tmp_path / "bare").mkdir()
    for name, path in [*foreign, ("onnx", tmp_path / "foreign.onnx"), ("openvino", tmp_path / "bare")]:
        assert FORMATS[name].read_metadata(path) is None


@given(share=st.floats(0, 0.999))
def test_truncated_files_have_no_metadata(
    share: float, onnx_content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    archive = folder / "whole.keras"
    attach(archive, METADATA)
    for content, name, file in ((onnx_content, "onnx", "cut.onnx"), (archive.read_bytes(), "litert", "cut.tflite")):
        path = folder / file
        path.write_bytes(content[: int(share * len(content))])
        with contextlib.suppress(ModelFileError):
            assert FORMATS[name].read_metadata(path) is None


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "swollen.tflite"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, b" " * 10**8)
    with pytest.raises(ModelFileError, match="damaged"):
        FORMATS["litert"].read_metadata(path)
