"""Networks for microcontrollers: small, computed by the microcontrollers' own interpreter, and valid C."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="MICROCONTROLLERS NOT TESTED: pip install '.[train,export]'")

from export.networks import tiny_network, with_random_weights
from mnist_cnn.config import load_recipe
from mnist_cnn.errors import InputError
from mnist_cnn.export.c_source import quote, read_header
from mnist_cnn.export.compaction import compact
from mnist_cnn.export.exporting import export
from mnist_cnn.export.formats import FORMATS, microcontroller
from mnist_cnn.export.formats.format import as_input
from mnist_cnn.export.micro_runtime import arena_bytes, operators, registration
from mnist_cnn.models.architectures import build_model

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from mnist_cnn.export.original import Original

pytestmark = pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated:UserWarning")

MICRO, C_ARRAY = FORMATS["litert-micro"], FORMATS["c-array"]
STEP = 1 / 256  # of probabilities in int8


def small_network() -> keras.Model:
    """About 8,000 parameters: separable convolutions, and one convolution that is called three times."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    image = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(8, 5, strides=2, padding="same", use_bias=False)(layers.Rescaling(1 / 255)(image))
    x = layers.ReLU()(layers.BatchNormalization()(x))  # (B, 14, 14, 8)
    x = layers.MaxPooling2D(2)(layers.SeparableConv2D(24, 3, padding="same", activation="relu")(x))  # (B, 7, 7, 24)
    again = layers.Conv2D(24, 3, padding="same", use_bias=False, name="again")
    for _ in range(3):
        x = layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(again(x))]))
    x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, use_bias=False)(x)))  # (B, 5, 5, 24)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(48, 1, activation="relu")(x))
    outputs = layers.Dense(10, activation="softmax")(layers.Dropout(0.1)(x))
    return with_random_weights(keras.Model(image, outputs, name="small"))


def replaced(original: Original, model: keras.Model) -> Original:
    """Replace the network, and calculate its probabilities."""
    probabilities = np.asarray(model.predict(original.digits.images[..., None], verbose=0))
    return dataclasses.replace(original, model=model, probabilities=probabilities)


@pytest.fixture(scope="module")
def small(original: Original) -> Original:
    return replaced(original, small_network())


@pytest.fixture(scope="module")
def content(small: Original, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The small network as a LiteRT file."""
    path: Path = tmp_path_factory.mktemp("micro") / MICRO.file
    MICRO.write(small, path)
    return path.read_bytes()


def test_the_network_of_the_recipe_tiny_fits_into_16_kb(original: Original, tmp_path: Path) -> None:
    recipe = load_recipe("tiny").model
    network = with_random_weights(build_model(recipe.architecture, recipe.arguments, 10))
    MICRO.write(replaced(original, network), tmp_path / MICRO.file)
    assert network.count_params() <= 8_000
    assert (tmp_path / MICRO.file).stat().st_size <= 16_000


def run_on_micro(content: bytes, images: NDArray[np.uint8], arena: int) -> NDArray[np.float32]:
    """Compute probabilities with the interpreter for microcontrollers, in so many bytes of memory."""
    runtime = pytest.importorskip("tflite_micro", reason="pip install tflite-micro").runtime
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena)
    answers = []
    for image in images:
        interpreter.set_input((image.astype(np.int16) - 128).astype(np.int8)[None, ..., None], 0)
        interpreter.invoke()
        answers.append((interpreter.get_output(0)[0].astype(np.float32) + 128) * STEP)
    return np.array(answers)


def run_on_reference(content: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute probabilities with LiteRT's reference kernels, from which those for microcontrollers are derived."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    answers = []
    for image in images:
        source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
        interpreter.set_tensor(source, (image.astype(np.int16) - 128).astype(np.int8)[None, ..., None])
        interpreter.invoke()
        answers.append((interpreter.get_tensor(target)[0].astype(np.float32) + 128) * STEP)
    return np.array(answers)


@pytest.mark.parametrize("name", ["small", "trained"])
def test_their_own_interpreter_answers_as_in_the_check(
    name: str, original: Original, content: bytes, tmp_path: Path
) -> None:
    if name == "trained":  # its normalisation after an activation is a convolution, and it flattens
        content = export(original, MICRO, tmp_path, allowed_drop=2.0).path.read_bytes()
    digits = original.digits.images[:100]
    arena = arena_bytes(content)
    answers = run_on_micro(content, digits, arena)
    np.testing.assert_allclose(run_on_reference(content, digits), answers, atol=STEP)
    (tmp_path / "copy.tflite").write_bytes(content)
    checked = microcontroller.open_reader(tmp_path / "copy.tflite")(as_input(digits))
    np.testing.assert_allclose(checked, answers / answers.sum(axis=1, keepdims=True), atol=10 * STEP)
    assert (checked.argmax(axis=1) == answers.argmax(axis=1)).mean() > 0.95
    if name == "trained":
        assert (answers.argmax(axis=1) == original.digits.labels[:100]).mean() > 0.8
    with pytest.raises(RuntimeError):
        run_on_micro(content, digits[:1], arena * 3 // 5)  # the limit is not far from the truth


def test_the_benchmark_measures_in_their_own_interpreter(small: Original, content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="pip install tflite-micro")
    from microcontroller import read_on_micro
    from mnist_cnn.files import write_json
    from tables import microcontrollers

    answers, used = read_on_micro(content, small.digits)
    assert (answers == small.probabilities.argmax(axis=1)).mean() > 0.9
    assert arena_bytes(content) * 3 // 5 < used <= arena_bytes(content)
    network = {"network": "tiny", "parameters": 8000, "accuracy": 0.99, "int8_accuracy": 0.9896}
    network |= {"bytes": len(content), "arena_bytes": used}
    record = {"result": {"tflite_micro": "0.1", "networks": [network]}}
    write_json(tmp_path / "microcontroller.json", [record])
    assert f"| `tiny` | 8,000 | 99.00 % | 98.96 % | {len(content):,} | {used:,} |" in microcontrollers(tmp_path)


def test_weights_that_are_used_three_times_are_stored_once(small: Original, content: bytes) -> None:
    assert small.model.count_params() == pytest.approx(8000, rel=0.05)
    assert len(content) < 16_000
    shared = small.model.get_layer("again").count_params()
    assert shared > 5000
    assert len(content) < 2 * shared + 5000


@pytest.mark.parametrize("name", ["onnx", "onnx-int8", "litert", "litert-int8"])
def test_other_formats_take_such_a_network_too(name: str, small: Original, tmp_path: Path) -> None:
    """Float formats compare themselves with Keras. Random weights give no accuracy, so probabilities are compared."""
    assert export(small, FORMATS[name], tmp_path, allowed_drop=100).agreement.difference < 0.1


def test_a_compact_file_computes_the_same(small: Original, content: bytes, tmp_path: Path) -> None:
    larger = tmp_path / "larger.tflite"
    FORMATS["litert"].write(small, larger)
    smaller = tmp_path / "smaller.tflite"
    smaller.write_bytes(compact(larger.read_bytes()))
    assert smaller.stat().st_size < larger.stat().st_size
    from ai_edge_litert.interpreter import Interpreter

    answers = []
    for path in (larger, smaller):
        interpreter = Interpreter(path)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], as_input(small.digits.images[:1]))
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    np.testing.assert_array_equal(*answers)
    assert compact(content) == content


def test_a_grey_level_is_stored_minus_128(content: bytes) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    (image,), (probabilities,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (image["dtype"], image["quantization"]) == (np.int8, (1.0, -128))
    assert (probabilities["dtype"], probabilities["quantization"]) == (np.int8, (STEP, -128))


def test_an_operator_that_microcontrollers_lack_is_named(original: Original, tmp_path: Path) -> None:
    import keras
    from keras import layers

    image = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(2, 5, strides=4, activation="gelu")(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))
    with pytest.raises(InputError, match=r"the network needs GELU, which.*--format litert-int8"):
        export(replaced(original, model), C_ARRAY, tmp_path)
    assert not list(tmp_path.iterdir())


def compile_(*words: Any) -> subprocess.CompletedProcess[str]:
    if shutil.which(str(words[0])) is None:
        pytest.skip(f"{words[0]} is not installed")
    return subprocess.run([*map(str, words)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(small: Original, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as C source."""
    names = ("a", 'quo"te', "back\\slash", "ä", "line\nbreak", "5", "6", "7", "??/", "9")
    named = dataclasses.replace(small, metadata=dataclasses.replace(small.metadata, class_names=names))
    return export(named, C_ARRAY, tmp_path_factory.mktemp("c"), allowed_drop=100).path


def test_the_header_contains_the_file(folder: Path, content: bytes) -> None:
    assert sorted(each.name for each in folder.iterdir()) == ["metadata.json", "microcontroller.ino", "model.h"]
    assert read_header((folder / "model.h").read_text("utf-8")) == content
    with pytest.raises(InputError, match="contains no array mnist_cnn_model"):
        read_header("#pragma once")


@pytest.mark.parametrize("compiler", [("cc", "-std=c11", "-x", "c"), ("g++", "-std=c++11", "-x", "c++")])
def test_the_header_is_valid_c_and_its_constants_are_right(
    compiler: tuple[str, ...], folder: Path, content: bytes, tmp_path: Path
) -> None:
    program = tmp_path / "program.txt"
    program.write_text(
        '#include "model.h"\n#include <stdint.h>\n#include <stdio.h>\n'
        "int main(void) {\n"
        '  printf("%d %d %d %d %g %d|", (int)sizeof mnist_cnn_model, MNIST_CNN_MODEL_BYTES, MNIST_CNN_ARENA_BYTES,\n'
        "         MNIST_CNN_INPUT_ZERO_POINT, MNIST_CNN_OUTPUT_SCALE, (int)((uintptr_t)mnist_cnn_model % 16));\n"
        '  for (int i = 0; i < MNIST_CNN_CLASSES; ++i) printf("%s|", mnist_cnn_class_names[i]);\n'
        '  printf("%d %s", (int)sizeof mnist_cnn_example, mnist_cnn_example_answer);\n'
        "  return 0;\n}\n"
    )
    options = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-I", folder, "-o", tmp_path / "program")
    made = compile_(*compiler, program, *options)
    assert made.returncode == 0, made.stderr
    printed = subprocess.run([tmp_path / "program"], capture_output=True).stdout.decode()
    size, names, example = printed.split("|", 1)[0], printed.split("|")[1:-1], printed.rsplit("|", 1)[1]
    assert size == f"{len(content)} {len(content)} {arena_bytes(content)} -128 {STEP} 0"
    assert names == ["a", 'quo"te', "back\\slash", "ä", "line\nbreak", "5", "6", "7", "??/", "9"]
    assert example.split(" ", 1)[0] == "784"
    assert example.split(" ", 1)[1] in names


def test_the_sketch_is_valid_and_registers_each_operator(folder: Path, content: bytes, tmp_path: Path) -> None:
    """Against declarations of our own, because the library's headers come in no package."""
    sketch = (folder / "microcontroller.ino").read_text("utf-8")
    methods = [registration(name) for name in operators(content)]
    assert all(f"resolver.{method}();" in sketch for method in methods)
    lite = tmp_path / "tensorflow" / "lite"
    for name in ("micro_interpreter", "micro_log", "micro_mutable_op_resolver", "system_setup"):
        (lite / "micro" / f"{name}.h").parent.mkdir(parents=True, exist_ok=True)
        (lite / "micro" / f"{name}.h").touch()
    declarations = (Path(__file__).parent / "micro_library.h").read_text("utf-8")
    added = "".join(f"  TfLiteStatus {method}();\n" for method in methods)
    (lite / "schema").mkdir()
    (lite / "schema" / "schema_generated.h").write_text(declarations.replace("  // operators\n", added))
    made = compile_(
        "g++", "-std=c++11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c++",
        folder / "microcontroller.ino", "-I", tmp_path,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def test_a_quoted_text_has_plain_characters_only() -> None:
    assert quote('a"b\\ä\n?') == '"a\\042b\\134\\303\\244\\012\\077"'


def test_a_large_network_is_remarked(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(content)
    needs = f"the model takes {len(content):,} bytes of flash and at most {arena_bytes(content):,} bytes of memory."
    assert microcontroller.describe(file) == needs
    file.write_bytes(content + bytes(10**6))
    assert "train a smaller network" in microcontroller.describe(file)


def test_a_normalisation_after_an_activation_needs_no_other_operator(original: Original, tmp_path: Path) -> None:
    MICRO.write(replaced(original, tiny_network()), tmp_path / MICRO.file)
    assert operators((tmp_path / MICRO.file).read_bytes()) == [
        "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "RESHAPE", "SOFTMAX",
    ]  # fmt: skip
