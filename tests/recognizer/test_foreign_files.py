"""ONNX files of other makers: read where their shapes allow, refused with a reason where not, harmless always."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mnist_cnn.errors import InputError
from mnist_cnn.model_metadata import ModelMetadata
from mnist_cnn.recognizer import Recognizer
from recognizer import linear

SHAPES: list[tuple[int | str | None, ...]] = [
    ("batch", 28, 28, 1), ("batch", 1, 28, 28), ("batch", 28, 28), ("batch", 784),
    (1, 28, 28, 1), (1, 1, 28, 28), (1, 28, 28), (1, 784),
    (None, 28, 28, 1), (7, 1, 28, 28), ("n", 1, "h", "w"), ("n", "h", "w"), ("n", "pixels"),
]  # fmt: skip


def load(folder: Path, data: bytes, **arguments: Any) -> Recognizer:
    path = folder / "foreign.onnx"
    path.write_bytes(data)
    return Recognizer.load(path, **arguments)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_usual_shape_is_read(
    tmp_path: Path, digits: NDArray[np.uint8], shape: Sequence[int | str | None]
) -> None:
    fixed = shape[0] if isinstance(shape[0], int) else -1
    loaded = load(tmp_path, linear.make(shape, inner_batch=fixed))
    np.testing.assert_allclose(loaded.predict_proba(digits[:70]), linear.probabilities(digits[:70]), atol=1e-5)
    assert loaded.predict(digits[0]).tolist() == [linear.scores(digits[:1]).argmax()]


@pytest.mark.parametrize("dtype", list(linear.TYPES))
def test_every_usual_dtype_is_read(tmp_path: Path, digits: NDArray[np.uint8], dtype: str) -> None:
    """Floats are scaled to 0 … 1, as most networks want them; bytes can only be grey levels."""
    loaded = load(tmp_path, linear.make(dtype=dtype, grey_levels=dtype == "uint8"))
    found = loaded.predict_proba(digits[:9])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, linear.probabilities(digits[:9]), atol=0.01 if dtype == "float16" else 1e-5)


def test_scores_before_a_softmax_become_probabilities(tmp_path: Path, digits: NDArray[np.uint8]) -> None:
    loaded = load(tmp_path, linear.make(softmax=False, outputs=["Plus214_Output_0"]))
    assert not loaded.network.gives_probabilities
    np.testing.assert_allclose(loaded.predict_proba(digits), linear.probabilities(digits), atol=1e-5)
    metadata = ModelMetadata(tuple("0123456789"), temperature=2.5)
    ours = load(tmp_path, linear.make(softmax=False, grey_levels=True, metadata=metadata.to_strings()))
    np.testing.assert_allclose(ours.predict_proba(digits), linear.probabilities(digits, 2.5), atol=1e-5)


def test_the_scale_can_be_given(tmp_path: Path, digits: NDArray[np.uint8]) -> None:
    """As for the MNIST network of the ONNX model zoo, which wants grey levels."""
    loaded = load(tmp_path, linear.make((1, 1, 28, 28), grey_levels=True), scale=1)
    np.testing.assert_allclose(loaded.predict_proba(digits[:5]), linear.probabilities(digits[:5]), atol=1e-5)


def test_a_batch_size_fixed_inside_is_found_out(tmp_path: Path, digits: NDArray[np.uint8]) -> None:
    loaded = load(tmp_path, linear.make(inner_batch=1))
    assert loaded.network.batch == 1
    np.testing.assert_allclose(loaded.predict_proba(digits[:5]), linear.probabilities(digits[:5]), atol=1e-5)


def test_the_right_one_of_several_outputs_is_taken(tmp_path: Path, digits: NDArray[np.uint8]) -> None:
    for outputs in (["probabilities", "features"], ["features", "logits"], ["features", "last"]):
        loaded = load(tmp_path, linear.make(outputs=outputs))
        np.testing.assert_allclose(loaded.predict_proba(digits[:3]), linear.probabilities(digits[:3]), atol=1e-5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (linear.make(("n", 3, 32, 32)), r"image \('n', 3, 32, 32\)"),
        (linear.make(("n", 3, 28, 28)), "Accepted: one input"),
        (linear.make(("n", 28, 28, 3)), "Accepted"),
        (linear.make((28, 28)), "Accepted"),
        (linear.make((100_000, 784)), "100000 images at once"),
        (linear.make(classes=1), "Accepted"),
        (linear.make(inner_batch=3), "does not run on 28×28 digits"),
        (linear.make(grey_levels=True, metadata=ModelMetadata(("a", "b")).to_strings()), "names 2 classes"),
        (linear.make(metadata={"mnist_cnn.temperature": "0", "mnist_cnn.class_names": "[]"}), "temperature"),
        (linear.make(metadata={"mnist_cnn.temperature": "import os"}), "damaged metadata"),
        (b"", "cannot be loaded"),
        (b"no network", "cannot be loaded"),
        (b"\x00" * 4096, "cannot be loaded"),
        (linear.make()[:-1000], "cannot be loaded"),
        (b"\x10\x00\x00\x00ORTM" + b"\xff" * 64, "cannot be loaded"),  # the mark of ORT's own format
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_everything_else_is_refused_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        load(tmp_path, data)
    assert len(str(refused.value).splitlines()) == 1
    assert "foreign.onnx" in str(refused.value)


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", 784)) for name in ("a", "b", "sum")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["sum"])], "two", tensors[:2], tensors[2:])
    with pytest.raises(InputError, match=r"has 2 inputs \(a, b\)"):
        load(tmp_path, linear.finish(graph))


def external(location: str) -> bytes:
    """A file that says its weights lie in another one."""
    model = onnx.load_from_string(linear.make())
    tensor = next(each for each in model.graph.initializer if each.name == "weights")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("where", ["beside", "working directory", "absolute"])
def test_no_other_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """ONNX Runtime by itself would take the weights from the working directory."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(linear.weights().tobytes())
    if where == "working directory":
        monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="cannot be loaded"):
        load(tmp_path, external(str(secret) if where == "absolute" else secret.name))


def test_unknown_operators_are_refused(tmp_path: Path) -> None:
    model = onnx.load_from_string(linear.make())
    model.graph.node[0].op_type = "RunThis"
    model.graph.node[0].domain = "evil.domain"
    model.opset_import.append(helper.make_opsetid("evil.domain", 1))
    with pytest.raises(InputError, match="cannot be loaded"):
        load(tmp_path, bytes(model.SerializeToString()))


def test_scores_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = onnx.load_from_string(linear.make())
    tensor = next(each for each in model.graph.initializer if each.name == "weights")
    tensor.CopyFrom(numpy_helper.from_array(np.full((784, 10), np.nan, np.float32), "weights"))
    with pytest.raises(InputError, match="not finite"):
        load(tmp_path, bytes(model.SerializeToString()))


def test_damaged_files_are_refused_without_a_crash(tmp_path: Path) -> None:
    """A hundred files with bytes changed, in a process of their own: a crash would be its exit code."""
    good = linear.make()
    random = np.random.default_rng(0)
    for number in range(100):
        damaged = np.frombuffer(good, np.uint8).copy()
        places = random.integers(0, 1500 if number % 2 else len(good), 8)  # the structure is at the ends
        damaged[places] = random.integers(0, 256, 8)
        (tmp_path / f"{number}.onnx").write_bytes(damaged.tobytes())
    program = (
        "import sys, pathlib\n"
        "from mnist_cnn.errors import InputError\n"
        "from mnist_cnn.recognizer import Recognizer\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    try: Recognizer.load(path)\n"
        "    except InputError: print('refused')\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("refused") > 10
    assert not finished.stderr  # ONNX Runtime's own log is silent


def test_a_giant_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "giant.onnx"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 2**40)  # sparse: takes no space
    with pytest.raises(InputError, match="more than 512 MB"):
        Recognizer.load(path)
