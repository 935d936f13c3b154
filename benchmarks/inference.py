"""How fast a digit is read: this package's recogniser and other ways to run the same network, on the same cores.

All engines run in one process and take turns, with a pause after each so that its threads stop spinning; every figure
is over all rounds. Each engine gets images in its preferred form: the recogniser uint8, the others float32 prepared in
advance. Throughput is for the best batch size. A second network, `--reference RUN`, is measured with Keras'
`model.predict` only, for the goals that compare with it.

    python benchmarks/inference.py --run RUN [--reference RUN] [--model FILE] [--litert FILE] [--rounds 5]

RUN is the run that the model file was exported from. Engines that are not installed are reported and skipped.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.environment.machine import processor_name, usable_cores
from mnist_cnn.errors import MnistCnnError
from mnist_cnn.reading.ink import looks_like_mnist
from mnist_cnn.reading.recognizer import Recognizer, read_model_file
from records import add_options, add_record
from tables import microseconds

BATCHES = (1, 16, 64, 256, 1024, 4096)
CALLS = 300  # with one image, per round, unless they take longer than SECONDS
SECONDS = 0.5  # for each measurement in each round
PAUSE = 1.0  # seconds after each engine; threads of TensorFlow and OpenVINO spin for a while
TOLERANCE = 1e-3  # between the probabilities of engines that run the same network
MATRIX = 2048  # rows and columns, for the ceiling

RECOGNIZER, CALIBRATED, RAW, PREDICT, COMPILED, OPENVINO, LITERT, REFERENCE = (
    "this recogniser, `predict`",
    "this recogniser, `predict_proba`",
    "ONNX Runtime, `session.run`",
    "Keras, `model.predict`",
    "Keras, compiled function",
    "OpenVINO",
    "LiteRT",
    "Keras, `model.predict`, reference network",
)

Images = NDArray[Any]  # uint8 [n, 28, 28] for the recogniser, float32 [n, 28, 28, 1] for the others
Run = Callable[[Images], NDArray[Any]]  # probabilities, or the digits themselves


@dataclass
class Engine:
    """One way to run the network, with its measurements."""

    name: str
    version: str
    run: Run
    takes_bytes: bool = False
    latencies: list[float] = field(default_factory=list)  # seconds, of one image
    throughputs: dict[int, list[float]] = field(default_factory=dict)  # images per second, by batch size

    def images(self, digits: NDArray[np.uint8]) -> Images:
        """Convert digits to this engine's preferred form."""
        return digits if self.takes_bytes else digits[..., None].astype(np.float32)

    def summary(self) -> dict[str, Any]:
        """Return the medians, and the batch size with the highest throughput."""
        rates = {batch: statistics.median(values) for batch, values in self.throughputs.items()}
        best = max(rates, key=rates.__getitem__)
        return {
            "engine": self.name,
            "version": self.version,
            "latency_us": statistics.median(self.latencies) * 1e6,
            "latency_p99_us": float(np.quantile(self.latencies, 0.99)) * 1e6,
            "images_per_second": rates[best],
            "best_batch": best,
        }


def main() -> None:
    """Measure and print."""
    options = parse_options()
    digits = make_digits(max(BATCHES))
    recognizer, model = load_model(options.model)
    engines = list(open_engines(options, recognizer, model))
    check_agreement(engines, digits[:64])
    ceilings = []
    for turn in range(options.rounds):
        ceilings.append(ceiling())
        for engine in engines[turn % len(engines) :] + engines[: turn % len(engines)]:  # so that the order changes
            print(f"round {turn + 1}/{options.rounds}: {engine.name}", file=sys.stderr)
            measure(engine, digits)
            time.sleep(PAUSE)
    record = {
        "machine": f"{processor_name()}, {usable_cores()} cores",
        "engines": [engine.summary() for engine in engines],
        "ceiling_gflops": max(ceilings),
        "operations": operations(model),
    }
    record["goals"] = goals(record)
    print(markdown(record))
    add_record(options, record)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="the run that the model file was exported from")
    parser.add_argument("--reference", type=Path, help="another run, only for `model.predict`")
    parser.add_argument("--model", type=Path, help="an ONNX file (default: the included weights)")
    parser.add_argument("--litert", type=Path, help="the same network for LiteRT (default: RUN/exports/model.tflite)")
    parser.add_argument("--rounds", type=int, default=5)
    add_options(parser)
    return parser.parse_args()


def make_digits(count: int) -> NDArray[np.uint8]:
    """Return scikit-learn's bundled digits that are in MNIST's form, repeated to `count`."""
    from mnist_cnn.datasets import load_dataset

    images = load_dataset("digits", split="all").images
    prepared = np.array([looks_like_mnist(image) for image in images])
    return np.resize(images[prepared], (count, 28, 28))


def load_model(path: Path | None) -> tuple[Recognizer, bytes]:
    """Open the model file for the recogniser, and read it for the other engines."""
    return Recognizer.load(path), read_model_file(path)[0]


def open_engines(options: argparse.Namespace, recognizer: Recognizer, model: bytes) -> Iterator[Engine]:
    """Open every engine that is installed and has a file; report the others."""
    openers: dict[str, Callable[[], Engine]] = {
        RECOGNIZER: lambda: open_recognizer(RECOGNIZER, recognizer.predict),
        CALIBRATED: lambda: open_recognizer(CALIBRATED, recognizer.predict_proba),
        RAW: lambda: open_onnx_runtime(model),
        OPENVINO: lambda: open_openvino(model),
        LITERT: lambda: open_litert(options.litert or Path(options.run or ".", "exports", "model.tflite")),
    }
    if options.run:
        openers |= {PREDICT: lambda: open_predict(options.run, PREDICT), COMPILED: lambda: open_compiled(options.run)}
    if options.reference:
        openers[REFERENCE] = lambda: open_predict(options.reference, REFERENCE)
    for name, opener in openers.items():
        try:
            yield opener()
        except (ImportError, OSError, MnistCnnError) as error:
            print(f"skipped: {name} ({error})", file=sys.stderr)


def open_recognizer(name: str, method: Run) -> Engine:
    """The recogniser, through its public methods, for one image and for many."""
    return Engine(name, importlib.metadata.version("mnist-cnn"), method, takes_bytes=True)


def open_onnx_runtime(model: bytes) -> Engine:
    """The same file in a session with default settings."""
    import onnxruntime  # noqa: TID251  # as others use it

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return Engine(RAW, onnxruntime.__version__, lambda images: session.run(None, {"image": images})[0])


def open_openvino(model: bytes) -> Engine:
    """The same file, in float32 even if the processor has bfloat16."""
    import openvino

    network = openvino.Core().read_model(model)
    compiled = openvino.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return Engine(OPENVINO, openvino.__version__.partition("-")[0], lambda images: compiled(images)[0])


def open_litert(path: Path) -> Engine:
    """The `.tflite` file, on all cores."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=path.read_bytes(), num_threads=usable_cores())
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    batch = 0

    def run(images: Images) -> NDArray[np.float32]:
        nonlocal batch
        if len(images) != batch:
            batch = len(images)
            interpreter.resize_tensor_input(source, images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(source, images)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(target))

    return Engine(LITERT, importlib.metadata.version("ai-edge-litert"), run)


def open_predict(run: Path, name: str) -> Engine:
    """Keras, as most notebooks use it."""
    keras, network = open_keras(run)
    return Engine(name, keras.__version__, lambda images: network.predict(images, batch_size=len(images), verbose=0))


def open_compiled(run: Path) -> Engine:
    """Keras' network as one TensorFlow graph."""
    import tensorflow as tf

    keras, network = open_keras(run)
    shape = tf.TensorSpec((None, 28, 28, 1), tf.float32)
    function = tf.function(lambda images: network(images, training=False), input_signature=[shape])
    return Engine(COMPILED, keras.__version__, lambda images: function(images).numpy())


def open_keras(run: Path) -> tuple[Any, Any]:
    """Return Keras and a run's network."""
    from mnist_cnn.models.quiet import start_keras

    start_keras()
    from mnist_cnn.models.backend import keras
    from mnist_cnn.models.persistence import open_model

    return keras, open_model(run)


def check_agreement(engines: list[Engine], digits: NDArray[np.uint8]) -> None:
    """Stop if two engines do not run the same network.

    The recogniser calibrates its probabilities, which does not change their order.
    """
    answers = {engine.name: engine.run(engine.images(digits)) for engine in engines if engine.name != REFERENCE}
    expected = answers[RAW]
    for name, answer in answers.items():
        read = answer if name == RECOGNIZER else answer.argmax(axis=1)
        exact = name not in (RECOGNIZER, CALIBRATED)
        if (read != expected.argmax(axis=1)).any() or (exact and abs(answer - expected).max() > TOLERANCE):
            sys.exit(f"{name} runs another network than the model file. Give the run that it was exported from.")


def measure(engine: Engine, digits: NDArray[np.uint8]) -> None:
    """Add one round's latencies and rates."""
    one = engine.images(digits[:1])
    one = one[0] if engine.takes_bytes else one
    engine.latencies += timed(engine.run, one, CALLS)
    for batch in BATCHES:
        images = engine.images(digits[:batch])
        seconds = statistics.median(timed(engine.run, images, CALLS))
        engine.throughputs.setdefault(batch, []).append(batch / seconds)


def timed(run: Run, images: Images, calls: int) -> list[float]:
    """Return the seconds of each call after a warm-up call; at least three calls."""
    run(images)
    seconds: list[float] = []
    while len(seconds) < calls and (len(seconds) < 3 or sum(seconds) < SECONDS):
        began = time.perf_counter()
        run(images)
        seconds.append(time.perf_counter() - began)
    return seconds


def ceiling() -> float:
    """Measure float32 matrix multiplication by the faster of NumPy and TensorFlow, GFLOP/s."""
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((MATRIX, MATRIX), np.float32) for _ in range(2))
    rates = [best_rate(lambda: left @ right)]
    if "tensorflow" in sys.modules:
        tf = sys.modules["tensorflow"]
        a, b = tf.constant(left), tf.constant(right)
        rates.append(best_rate(lambda: tf.matmul(a, b).numpy()))
    return max(rates)


def best_rate(multiply: Callable[[], Any]) -> float:
    """Return the highest of ten rates, GFLOP/s."""
    multiply()
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - began)
    return 2 * MATRIX**3 / min(seconds) / 1e9


def operations(model: bytes) -> int:
    """Count the floating-point operations for one image, two per multiply-add, of convolutions and matrix products.

    0 if `onnx`, which reads the graph, is not installed.
    """
    try:
        import onnx
    except ImportError:
        return 0
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model), data_prop=True).graph
    weights = {each.name: list(each.dims) for each in graph.initializer}
    shapes = {each.name: [size.dim_value for size in each.type.tensor_type.shape.dim] for each in graph.value_info}
    total = 0
    for node in graph.node:
        constants = [weights[name] for name in node.input if name in weights]
        if node.op_type == "Conv":
            places = int(np.prod(shapes[node.output[0]][2:]))
            total += 2 * places * int(np.prod(constants[0]))
        elif node.op_type in ("Gemm", "MatMul") and constants:
            total += 2 * int(np.prod(constants[0]))
    return total


def goals(record: dict[str, Any]) -> dict[str, float]:
    """Return the ratios for the goals whose engines were measured."""
    by_name = {each["engine"]: each for each in record["engines"]}
    own = by_name[RECOGNIZER]
    found = {"one image, × ONNX Runtime's own time (at most 1.2)": own["latency_us"] / by_name[RAW]["latency_us"]}
    if PREDICT in by_name:
        found["one image, times faster than model.predict (at least 500)"] = (
            by_name[PREDICT]["latency_us"] / own["latency_us"]
        )
    if REFERENCE in by_name:
        found["throughput, × model.predict's on the reference network (at least 5)"] = (
            own["images_per_second"] / by_name[REFERENCE]["images_per_second"]
        )
    found["throughput, images per second (100,000, or near the ceiling)"] = own["images_per_second"]
    found["share of the ceiling"] = own["images_per_second"] * record["operations"] / record["ceiling_gflops"] / 1e9
    return found


def markdown(record: dict[str, Any]) -> str:
    """Return the table for the documentation, with a summary."""
    lines = [
        "| engine | version | one image, median | p99 | images per second | at batch |",
        "|---|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {each['engine']} | {each['version']} | {microseconds(each['latency_us'])} | "
        f"{microseconds(each['latency_p99_us'])} | {each['images_per_second']:,.0f} | {each['best_batch']:,} |"
        for each in record["engines"]
    ]
    lines += ["", f"Measured on: {record['machine']}."]
    if record["operations"]:
        lines += [
            f"One image takes {record['operations'] / 1e6:.2f} million floating-point operations. These cores multiply "
            f"matrices at {record['ceiling_gflops']:.0f} GFLOP/s, which would be "
            f"{record['ceiling_gflops'] * 1e9 / record['operations']:,.0f} images per second."
        ]
    lines += ["", *(f"- {name}: {number(value)}" for name, value in record["goals"].items())]
    return "\n".join(lines)


def number(value: float) -> str:
    """Format with three digits, or as a whole number."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
