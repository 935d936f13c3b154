"""Measure what networks lose on a microcontroller, and what they need there.

    python benchmarks/microcontroller.py RUN [RUN …] [--data-dir DIR] [--record FILE]

Each run is exported as `litert-micro`. The interpreter for microcontrollers itself, from the package tflite-micro, then
reads the whole test set of the run, image by image, and says how much memory it used. Pointers have 64 bits here; on a
microcontroller with 32 bits, it needs less.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.datasets import Dataset, resolve_dataset
from mnist_cnn.models.quiet import start_keras
from records import add_options, add_record
from tables import network_table

_USED = re.compile(r"Arena allocation total (\d+) bytes")
_GREY_ZERO = 128  # a grey level minus this is the input


def main() -> None:
    """Measure every run and print the table."""
    options = parse_options()
    start_keras()
    networks = [measure(run, options.data_dir) for run in options.runs]
    print(network_table(networks))
    add_record(options, {"tflite_micro": importlib.metadata.version("tflite-micro"), "networks": networks})


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="a finished run")
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's files, if they are not found otherwise")
    add_options(parser)
    return parser.parse_args()


def measure(run: Path, data_dir: Path | None) -> dict[str, Any]:
    """Export a run and let the interpreter for microcontrollers read MNIST's test set.

    Returns:
        Accuracies, 0 to 1; the size of the file without its metadata; the memory that the interpreter used, and that
        the C header reserves.
    """
    from mnist_cnn.export.formats import microcontroller
    from mnist_cnn.export.micro_runtime import arena_bytes
    from mnist_cnn.export.original import open_original

    original = open_original(run, resolve_dataset("mnist", data_dir=data_dir))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.tflite")
        microcontroller.write(original, file)
        content = file.read_bytes()
    answers, used = read_on_micro(content, original.digits)
    labels = original.digits.labels
    return {
        "network": re.sub(r"-\d+$", "", run.stem),
        "parameters": original.model.count_params(),
        "accuracy": float((original.probabilities.argmax(axis=1) == labels).mean()),
        "int8_accuracy": float((answers == labels).mean()),
        "bytes": len(content),
        "arena_bytes": used,
        "reserved_bytes": arena_bytes(content),
    }


def read_on_micro(content: bytes, digits: Dataset) -> tuple[NDArray[np.int64], int]:
    """Return the class of each digit, and the bytes of memory that the interpreter used."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(content)
    answers = np.empty(len(digits), np.int64)
    for index, image in enumerate(digits.images):
        interpreter.set_input((image.astype(np.int16) - _GREY_ZERO).astype(np.int8)[np.newaxis, ..., np.newaxis], 0)
        interpreter.invoke()
        answers[index] = interpreter.get_output(0)[0].argmax()
    return answers, used_memory(interpreter)


def used_memory(interpreter: Any) -> int:
    """Return how many bytes the interpreter used, which it only prints to the standard error of the process."""
    with tempfile.TemporaryFile() as log:
        kept = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            interpreter.print_allocations()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        log.seek(0)
        found = _USED.search(log.read().decode())
    if found is None:
        raise SystemExit("This version of tflite-micro prints its memory in another form. Use that of constraints.txt.")
    return int(found[1])


if __name__ == "__main__":
    main()
