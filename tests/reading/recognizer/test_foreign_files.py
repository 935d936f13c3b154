"""Third-party ONNX files: read if their shapes allow it, otherwise refused with a reason, and always harmless."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from mnist_cnn.cli.app import main
from mnist_cnn.errors import InputError, ModelFileError
from mnist_cnn.reading.metadata import ModelMetadata
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.reading.recognizer.model_file import read_second_files
from mnist_cnn.reading.recognizer.network import Network, adopt_network
from mnist_cnn.reading.scaling import CANDIDATES, UNIT, Scaling, bundled_digits
from reading.recognizer import linear

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
    """Floats are scaled to 0 … 1, as most networks need them; integers can only be grey levels."""
    loaded = load(tmp_path, linear.make(dtype=dtype, grey_levels="int" in dtype))
    found = loaded.predict_proba(digits[:9])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, linear.probabilities(digits[:9]), atol=0.01 if dtype == "float16" else 1e-5)


def test_scores_before_a_softmax_become_probabilities(tmp_path: Path, digits: NDArray[np.uint8]) -> None:
    loaded = load(tmp_path, linear.make(softmax=False, outputs=["Plus214_Output_0"]))
    assert loaded.network.kind == "logits"
    np.testing.assert_allclose(loaded.predict_proba(digits), linear.probabilities(digits), atol=1e-5)
    metadata = ModelMetadata(tuple("0123456789"), temperature=2.5)
    ours = load(tmp_path, linear.make(softmax=False, grey_levels=True, metadata=metadata.to_strings()))
    np.testing.assert_allclose(ours.predict_proba(digits), linear.probabilities(digits, 2.5), atol=1e-5)


def test_the_scale_can_be_given(tmp_path: Path, digits: NDArray[np.uint8]) -> None:
    """As for the MNIST network of the ONNX model zoo, which needs grey levels."""
    loaded = load(tmp_path, linear.make((1, 1, 28, 28), grey_levels=True), scale=1)
    assert (loaded.choice.scaling, loaded.choice.origin) == (Scaling(1), "user")
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
        (linear.make((28, 28)), "Accepted: one input"),
        (linear.make((100_000, 784)), "100000 images per run"),
        (linear.make(classes=1), "Accepted"),
        (linear.make(inner_batch=3), "does not run on 28×28 digits"),
        (linear.make(grey_levels=True, metadata=ModelMetadata(("a", "b")).to_strings()), "names 2 classes"),
        (linear.make(metadata={"mnist_cnn.temperature": "0", "mnist_cnn.class_names": "[]"}), "temperature"),
        (linear.make(metadata={"mnist_cnn.temperature": "import os"}), "metadata in .* are damaged"),
        (b"", "cannot be loaded"),
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
    with pytest.raises(InputError, match=r"takes a \('n', 784\) tensor\(float\), b "):
        load(tmp_path, linear.finish(graph))


# What Recognizer says of a network of random weights, which reads digits in no range.
pytestmark = pytest.mark.filterwarnings("ignore:.*0 … 1 is assumed:UserWarning")


def external(location: str, *, offset: int | str = 0, length: int | str = "") -> bytes:
    """A file whose weights are in a second one."""
    model = onnx.load_from_string(linear.make())
    tensor = next(each for each in model.graph.initializer if each.name == "weights")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value != "":
            tensor.external_data.add(key=key, value=str(value))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(("offset", "length"), [(0, ""), (4096, 784 * 40)])
@pytest.mark.parametrize("folder", ["", "./", ".//./"])
def test_weights_in_a_second_file_beside_the_first_are_read(
    tmp_path: Path, digits: NDArray[np.uint8], folder: str, offset: int, length: int | str
) -> None:
    """As PyTorch's exporter writes them."""
    (tmp_path / "foreign.onnx.data").write_bytes(b"x" * offset + linear.weights().tobytes())
    loaded = load(tmp_path, external(f"{folder}foreign.onnx.data", offset=offset, length=length), threads=2)
    np.testing.assert_allclose(loaded.predict_proba(digits[:70]), linear.probabilities(digits[:70]), atol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, the names of files are Unicode")
def test_the_names_of_other_files_may_be_in_any_encoding(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).touch()
    (tmp_path / "foreign.onnx.data").write_bytes(linear.weights().tobytes())
    load(tmp_path, external("foreign.onnx.data"))


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 300}/model.onnx"])
def test_a_path_that_cannot_exist_is_a_missing_model(name: str) -> None:
    with pytest.raises(ModelFileError, match=r"x{300}"):
        Recognizer.load(name)


def test_both_files_may_be_links_into_one_folder(tmp_path: Path, digits: NDArray[np.uint8]) -> None:
    """As in the cache of Hugging Face's hub."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "1"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    (blobs / "a").write_bytes(external("model.onnx_data"))
    (blobs / "b").write_bytes(linear.weights().tobytes())
    (snapshot / "model.onnx").symlink_to("../../blobs/a")
    (snapshot / "model.onnx_data").symlink_to("../../blobs/b")
    loaded = Recognizer.load(snapshot / "model.onnx")
    np.testing.assert_allclose(loaded.predict_proba(digits[:9]), linear.probabilities(digits[:9]), atol=1e-5)


@pytest.mark.parametrize("where", ["working directory", "absolute", "above", "below", "link", "nowhere"])
def test_no_file_in_another_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """ONNX Runtime by itself would take the weights from the working directory."""
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    secret = {"below": folder / "below", "above": tmp_path}.get(where, elsewhere) / "secret.bin"
    for each in (folder, secret.parent):
        each.mkdir(parents=True, exist_ok=True)
    secret.write_bytes(linear.weights().tobytes())
    if where == "working directory":
        monkeypatch.chdir(elsewhere)
    if where == "link":
        (folder / "secret.bin").symlink_to(secret)
    location = {"absolute": str(secret), "above": "../secret.bin", "below": "below/secret.bin"}
    with pytest.raises(ModelFileError, match=r"weights in a second file, which is not beside it.*Put both") as refused:
        load(folder, external(location.get(where, "secret.bin")))
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("part", [{"length": 784 * 40}, {"offset": -4}, {"offset": "0x"}])
def test_a_damaged_second_file_is_named(tmp_path: Path, part: dict[str, Any]) -> None:
    (tmp_path / "weights.bin").write_bytes(b"short")
    with pytest.raises(ModelFileError, match=r"second file, .* too short or damaged"):
        load(tmp_path, external("weights.bin", **part))


def changed(change: Callable[[Any], object]) -> bytes:
    model = onnx.load_from_string(linear.make())
    change(model)
    return bytes(model.SerializeToString())


def of_another_library(model: Any) -> None:
    model.graph.node[0].domain = "ai.onnx.contrib"
    model.opset_import.append(helper.make_opsetid("ai.onnx.contrib", 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: setattr(model, "ir_version", 99), r"newer ONNX Runtime \(IR version 99, .* up to \d+\)"),
        (lambda model: setattr(model.opset_import[0], "version", 99), r"newer ONNX Runtime \(opset 99, .* up to \d+\)"),
        (lambda model: setattr(model.graph.node[0], "op_type", "RunThis"), "uses RunThis, which is not a standard"),
        (of_another_library, r"uses ai\.onnx\.contrib:Cast, which is not a standard"),
        (lambda model: model.ClearField("ir_version"), "is damaged or of another kind"),
        (lambda model: model.graph.node[2].input.__setitem__(0, "nothing"), "'nothing' is not a graph input"),
        (lambda model: model.graph.initializer[1].dims.__setitem__(0, 7840), "."),
        (lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 8), r"tensor\(string\)"),
    ],
    ids=["IR", "opset", "operator", "library", "no IR", "input", "weights", "strings"],
)
def test_the_reason_is_complete_and_in_plain_words(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(ModelFileError, match=message) as refused:
        load(tmp_path, changed(change))
    said = str(refused.value)
    assert said.endswith(".")
    for internal in ("onnxruntime::", "/onnxruntime_src", "[ONNXRuntimeError]", "std::", ".cc:", "\n", "' object"):
        assert internal not in said


def classifier(outputs: list[Any], nodes: list[Any]) -> bytes:
    """What scikit-learn's converter writes: labels beside probabilities."""
    image = helper.make_tensor_value_info("X", TensorProto.FLOAT, (None, 784))
    steps = [
        helper.make_node("MatMul", ["X", "W"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"]),
        helper.make_node("ArgMax", ["shares"], ["label"], axis=1, keepdims=0),
        *nodes,
    ]
    graph = helper.make_graph(steps, "classifier", [image], outputs, [numpy_helper.from_array(linear.weights(), "W")])
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    return bytes(helper.make_model(graph, opset_imports=domains, ir_version=9).SerializeToString())


LABEL = helper.make_tensor_value_info("label", TensorProto.INT64, (None,))


def test_labels_beside_probabilities_are_passed_over(tmp_path: Path, digits: NDArray[np.uint8]) -> None:
    shares = helper.make_tensor_value_info("shares", TensorProto.FLOAT, (None, 10))
    for outputs in ([LABEL, shares], [shares, LABEL]):
        found = load(tmp_path, classifier(outputs, [])).predict_proba(digits[:9])
        np.testing.assert_allclose(found, linear.probabilities(digits[:9]), atol=1e-5)


def test_labels_alone_and_dictionaries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"returns label \(None,\) tensor\(int64\)"):
        load(tmp_path, classifier([LABEL], []))
    zipped = helper.make_node(
        "ZipMap", ["shares"], ["dictionaries"], domain="ai.onnx.ml", classlabels_int64s=list(range(10))
    )
    share = helper.make_tensor_type_proto(TensorProto.FLOAT, ())
    kind = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.INT64, share))
    with pytest.raises(ModelFileError, match=r"returns label .* dictionaries .*zipmap=False"):
        load(tmp_path, classifier([LABEL, helper.make_value_info("dictionaries", kind)], [zipped]))


@pytest.fixture(scope="session")
def learnt() -> NDArray[np.float32]:
    """float32 [785, 10]: what reads the bundled digits, of sines of pixels in 0 … 6; the last row is the bias."""
    known = bundled_digits()
    pixels = np.hstack([np.sin(known.images.reshape(-1, 784) / 42.5), np.ones((len(known.labels), 1))])
    wanted = 8 * np.eye(10)[known.labels] - 4
    return np.asarray(np.linalg.solve(pixels.T @ pixels + np.eye(785), pixels.T @ wanted), np.float32)


def learnt_network(weights: NDArray[np.float32], wanted: Scaling, last: str) -> bytes:
    """Write that network to a file that needs grey levels in another range, or does not end in a softmax."""
    factor, offset = np.float32(1 / 42.5 / wanted.factor), np.float32(wanted.offset / 42.5 / wanted.factor)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (None, 1, 28, 28))
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, (None, 10))
    constants = {"shape": np.array([-1, 784]), "factor": factor, "offset": offset, "W": weights[:-1], "b": weights[-1]}
    steps = [("Reshape", ["image", "shape"]), ("Mul", ["1", "factor"]), ("Sub", ["2", "offset"]),
             ("Sin", ["3"]), ("MatMul", ["4", "W"]), ("Add", ["5", "b"]), (last, ["6"])]  # fmt: skip
    nodes = [helper.make_node(kind, given, [str(place)]) for place, (kind, given) in enumerate(steps, start=1)]
    nodes[-1].output[0] = "scores"
    weights_inside = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    return linear.finish(helper.make_graph(nodes, "learnt", [image], [scores], weights_inside))


@pytest.mark.parametrize(
    ("wanted", "last"),
    [(CANDIDATES[0], "Softmax"), (CANDIDATES[1], "Identity"), (CANDIDATES[2], "Sigmoid"), (CANDIDATES[3], "Softmax")],
    ids=str,
)
def test_range_and_kind_of_scores_are_found_out(
    tmp_path: Path, learnt: NDArray[np.float32], wanted: Scaling, last: str
) -> None:
    loaded = load(tmp_path, learnt_network(learnt, wanted, last))
    assert (loaded.choice.scaling, loaded.choice.origin) == (wanted, "tried")
    assert loaded.network.kind == {"Softmax": "probabilities", "Identity": "logits", "Sigmoid": "sigmoids"}[last]
    images = bundled_digits().images
    powers = np.exp(np.sin(images.reshape(-1, 784) / 42.5) @ learnt[:-1] + learnt[-1])
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(loaded.predict_proba(images), expected, atol=2e-3)


def test_an_overflow_in_a_wrong_range_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A softmax written out, as some converters do: at 0 … 255 its powers are infinite, and their shares NaN."""
    network = Recognizer.load().network
    right = np.eye(10, dtype=np.float32)[bundled_digits().labels]
    nothing = np.full_like(right, np.nan)
    monkeypatch.setattr(Network, "scores", lambda self, *_, **__: right if self.scaling == UNIT else nothing)
    network, choice = adopt_network(network, None)
    assert (choice.scaling, network.kind) == (UNIT, "probabilities")


def test_predict_says_which_range_it_chose(
    tmp_path: Path, learnt: NDArray[np.float32], capsys: pytest.CaptureFixture[str]
) -> None:
    path, picture = tmp_path / "foreign.onnx", tmp_path / "digit.png"
    Image.fromarray(bundled_digits().images[0]).save(picture)
    path.write_bytes(learnt_network(learnt, CANDIDATES[1], "Softmax"))
    with pytest.raises(SystemExit):
        main(["predict", str(picture), "--model", str(path)])
    assert capsys.readouterr().err.count("scaled to 0 … 255") == 1


def test_the_most_common_range_is_assumed_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="classifies 200 bundled digits in none of the usual ranges.*0 … 1 is assumed"):
        loaded = load(tmp_path, linear.make())
    assert loaded.choice.scaling == Scaling(1 / 255)


def test_an_input_that_declares_no_shape_is_read(tmp_path: Path, digits: NDArray[np.uint8]) -> None:
    model = onnx.load_from_string(linear.make())
    model.graph.input[0].type.tensor_type.ClearField("shape")
    loaded = load(tmp_path, model.SerializeToString())
    np.testing.assert_allclose(loaded.predict_proba(digits[:9]), linear.probabilities(digits[:9]), atol=1e-5)


def test_nan_is_refused(tmp_path: Path) -> None:
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
        "from mnist_cnn.reading.recognizer import Recognizer\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    try: Recognizer.load(path)\n"
        "    except InputError: print('refused')\n"
    )
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("refused") > 10
    assert not finished.stderr  # ONNX Runtime's own log is silent


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "giant.onnx"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 2**40)  # sparse: takes no space
    with pytest.raises(InputError, match="more than 512 MB"):
        Recognizer.load(path)


def test_second_files_have_a_common_limit(tmp_path: Path) -> None:
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 300 * 2**20)
    with pytest.raises(ModelFileError, match="more than 512 MB together"):
        read_second_files(b"location: a.bin, b.bin", tmp_path / "model.onnx")
