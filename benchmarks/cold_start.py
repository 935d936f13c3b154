"""The cost of `mnist-cnn predict one.png` from a cold start: processor and wall time of whole processes, and memory.

The libraries that reading needs set the lower bound, so the processor time is also given relative to importing them
alone. Both commands run in alternation. With `--serve`: the cost of `mnist-cnn serve` up to its first response.

    python benchmarks/cold_start.py [--serve] [--image FILE] [--runs 20]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
from PIL import Image, ImageDraw

from records import add_options, add_record

RATIO_GOAL = 1.3  # processor time of predict ÷ that of importing the libraries
SERVE_GOAL = 1.0  # seconds by the clock, until the first response
_LIBRARIES = [sys.executable, "-c", "import numpy, cv2, onnxruntime"]
_OURS = [sys.executable, "-m", "mnist_cnn"]
_UNITS_PER_MB = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kilobytes

# An installed package has its bytecode; so have the measured processes, from their first run on.
_ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def main() -> None:
    """Measure and print."""
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder:
        image = options.image or draw_digit(Path(folder, "one.png"))
        record = measure_serve(image, options.runs) if options.serve else measure_predict(image, options.runs)
    print("\n".join(f"{key:22} {value:.3f}" for key, value in record.items()))
    add_record(options, record)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a picture of a digit (default: one is drawn)")
    parser.add_argument("--serve", action="store_true", help="measure the server's start")
    parser.add_argument("--runs", type=int, default=20)
    add_options(parser)
    return parser.parse_args()


def draw_digit(path: Path) -> Path:
    """Draw a 7 in dark ink on light paper, in the size of a drawing made on a phone."""
    picture = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(picture).line([(120, 100), (280, 100), (180, 310)], "black", 18, joint="curve")
    picture.save(path)
    return path


def measure_predict(image: Path, runs: int) -> dict[str, float]:
    """Give medians over processes, and the ratio of predict's processor time to that of the libraries alone."""
    pairs = [(run_once([*_OURS, "predict", str(image)]), run_once(_LIBRARIES)) for _ in range(runs + 1)]
    predict, libraries = zip(*pairs[1:], strict=True)  # the first pair fills the disk's cache
    record = medians(predict)
    alone = statistics.median(cpu for cpu, *_ in libraries)
    return record | {
        "libraries_cpu_seconds": alone,
        "ratio": record["cpu_seconds"] / alone,
        "ratio_goal": RATIO_GOAL,
    }


def measure_serve(image: Path, runs: int) -> dict[str, float]:
    """Give medians over servers."""
    return medians([serve_once(image) for _ in range(runs + 1)][1:]) | {"wall_seconds_goal": SERVE_GOAL}


def medians(runs: list[tuple[float, float, float]] | tuple[tuple[float, float, float], ...]) -> dict[str, float]:
    """Name the medians of what `run_once` or `serve_once` gave."""
    cpu, wall, memory = (statistics.median(values) for values in zip(*runs, strict=True))
    return {"runs": len(runs), "cpu_seconds": cpu, "wall_seconds": wall, "memory_mb": memory}


def run_once(command: list[str]) -> tuple[float, float, float]:
    """Give processor seconds (user and system), seconds by the clock, and peak memory in MB of one process."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=_ENVIRONMENT) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - began, used.ru_maxrss / _UNITS_PER_MB


def serve_once(image: Path) -> tuple[float, float, float]:
    """Give the same figures of a server, from its start to its first response."""
    command = [*_OURS, "serve", "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_ENVIRONMENT
    ) as process:
        assert process.stderr is not None  # noqa: S101 - for the type checker
        address = process.stderr.readline().split()[-1]
        request = urllib.request.Request(  # noqa: S310 - the address is our own server's
            f"{address}/predict", image.read_bytes(), {"Content-Type": "image/png"}
        )
        with urllib.request.urlopen(request):  # noqa: S310
            wall = time.perf_counter() - began
        server = psutil.Process(process.pid)
        family = [server, *server.children(recursive=True)]
        used = sum(each.cpu_times().user + each.cpu_times().system for each in family)
        memory = sum(each.memory_info().rss for each in family) / 2**20
        process.terminate()
    return used, wall, memory


if __name__ == "__main__":
    main()
