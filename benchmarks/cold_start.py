"""What `mnist-cnn predict one.png` costs from a cold start: processor and wall time of whole processes, and memory.

With `--serve`: what `mnist-cnn serve` costs until it has answered its first request.

    python benchmarks/cold_start.py [--image FILE] [--runs 20] [--json] [-- OPTIONS OF PREDICT]
    python benchmarks/cold_start.py --serve [--image FILE] [--runs 20] [--json]
"""

from __future__ import annotations

import argparse
import functools
import json
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

GOAL = 0.35  # seconds of processor time, of predict
SERVE_GOAL = 1.0  # seconds by the clock, until the first answer
_UNITS_PER_MB = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kilobytes


def main() -> None:
    """Measure and print."""
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder:
        image = options.image or draw_digit(Path(folder, "one.png"))
        command = [sys.executable, "-m", "mnist_cnn", "predict", str(image), *options.words]
        once = functools.partial(serve_once, image) if options.serve else functools.partial(run_once, command)
        runs = [once() for _ in range(options.runs + 1)][1:]  # the first one fills the disk's cache
    cpu, wall, memory = zip(*runs, strict=True)
    record = {
        "runs": options.runs,
        "cpu_seconds": statistics.median(cpu),
        "cpu_seconds_highest": max(cpu),
        "wall_seconds": statistics.median(wall),
        "memory_mb": statistics.median(memory),
        **({"goal_wall_seconds": SERVE_GOAL} if options.serve else {"goal_cpu_seconds": GOAL}),
    }
    if options.json:
        print(json.dumps(record))
        return
    print(
        f"{record['cpu_seconds']:.3f} s of processor (highest {record['cpu_seconds_highest']:.3f}), "
        f"{record['wall_seconds']:.3f} s by the clock, {record['memory_mb']:.0f} MB; medians of {options.runs}; "
        + (f"goal {SERVE_GOAL} s by the clock" if options.serve else f"goal {GOAL} s of processor")
    )


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a picture of a digit (default: one is drawn)")
    parser.add_argument("--serve", action="store_true", help="measure the server's start")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("words", nargs="*", help="options for predict, after --")
    return parser.parse_args()


def draw_digit(path: Path) -> Path:
    """Draw a 7 in dark ink on light paper, as large as a picture of a telephone's drawing program."""
    picture = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(picture).line([(120, 100), (280, 100), (180, 310)], "black", 18, joint="curve")
    picture.save(path)
    return path


def run_once(command: list[str]) -> tuple[float, float, float]:
    """Give processor seconds (user and system), seconds by the clock, and peak memory in MB of one process."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - began, used.ru_maxrss / _UNITS_PER_MB


def serve_once(image: Path) -> tuple[float, float, float]:
    """Give the same of a server, from its start to its first answer."""
    command = [sys.executable, "-m", "mnist_cnn", "serve", "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
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
