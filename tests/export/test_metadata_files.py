"""Metadata of exported files: what is foreign, damaged or cut off is refused with a reason."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import onnx
import pytest
from hypothesis import given

from export.networks import tiny_network
from mnist_cnn.errors import InputError, ModelFileError
from mnist_cnn.export.metadata_files import IN_SAVED_MODEL, MEMBER, attach, dump, read_metadata
from mnist_cnn.export.onnx_graph import to_onnx
from mnist_cnn.reading.metadata import ModelMetadata

METADATA = ModelMetadata(("a", "ä"), temperature=1.25, rejection_threshold=0.75, dataset="letters", accuracy=0.5)


@pytest.fixture(scope="module")
def onnx_content() -> bytes:
    return to_onnx(tiny_network(), METADATA)


def write_each(folder: Path, text: str) -> list[Path]:
    """Put `text` where each format but ONNX keeps its metadata."""
    saved, openvino = folder / "saved_model", folder / "openvino"
    for file in (saved / IN_SAVED_MODEL, openvino / "metadata.json"):
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    (openvino / "model.xml").touch()
    archives = [folder / "model.keras", folder / "model.tflite"]
    archives[1].write_bytes(b"a model, not an archive")
    for path in archives:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(MEMBER, text)
    return [saved, openvino, openvino / "model.xml", *archives]


def test_each_place_gives_back_what_was_written(tmp_path: Path, onnx_content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx_content)
    for path in [*write_each(tmp_path, dump(METADATA)), tmp_path / "model.onnx"]:
        assert read_metadata(path) == METADATA, path


def test_attaching_leaves_the_model_before_it_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"a model")
    attach(path, METADATA)
    assert path.read_bytes().startswith(b"a model")
    assert read_metadata(path) == METADATA


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, json.dumps({"mnist_cnn.temperature": "1"})])
def test_damaged_metadata_are_refused(tmp_path: Path, text: str) -> None:
    for path in write_each(tmp_path, text):
        with pytest.raises(ModelFileError, match="damaged metadata"):
            read_metadata(path)


def test_the_files_of_others_are_told_from_ours(tmp_path: Path) -> None:
    foreign = write_each(tmp_path, json.dumps({"author": "somebody"}))
    (tmp_path / "foreign.onnx").write_bytes(to_onnx(tiny_network()))
    (tmp_path / "bare.tflite").write_bytes(b"no archive at all")
    (tmp_path / "bare").mkdir()
    with zipfile.ZipFile(tmp_path / "bare.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    for path in [*foreign, *(tmp_path / name for name in ("foreign.onnx", "bare.tflite", "bare.keras", "bare"))]:
        with pytest.raises(ModelFileError, match=r"carries no metadata of mnist-cnn. Export the model with"):
            read_metadata(path)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no model"):
        read_metadata(tmp_path / "none.onnx")
    (tmp_path / "model.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(InputError, match=r"must end in .onnx, .tflite, .keras or .xml"):
        read_metadata(tmp_path / "model.pkl")


@given(share=st.floats(0, 0.999))
def test_cut_off_files_are_refused(share: float, onnx_content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cut")
    archive = folder / "whole.keras"
    attach(archive, METADATA)
    for content, name in ((onnx_content, "cut.onnx"), (archive.read_bytes(), "cut.tflite")):
        path = folder / name
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ModelFileError):
            read_metadata(path)


def test_a_member_that_swells_is_not_unpacked_whole(tmp_path: Path) -> None:
    path = tmp_path / "swollen.tflite"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, b" " * 10**8)
    with pytest.raises(ModelFileError, match="damaged metadata"):
        read_metadata(path)


def test_the_properties_can_be_read_by_onnx_itself(onnx_content: bytes) -> None:
    properties = onnx.load_model_from_string(onnx_content).metadata_props
    assert json.loads(next(each.value for each in properties if each.key == "mnist_cnn.class_names")) == ["a", "ä"]
