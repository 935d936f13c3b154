"""What `mnist-cnn predict one.png` costs from a cold start: processor and wall time of whole processes, and memory.

python benchmarks/cold_start.py [--image FILE] [--runs 20] [--json] [-- OPTIONS OF PREDICT]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageDraw

GOAL = 0.35  # seconds of processor time
_UNITS_PER_MB = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kilobytes


def main() -> None:
    """Measure and print."""
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder:
        image = options.image or draw_digit(Path(folder, "one.png"))
        command = [sys.executable, "-m", "mnist_cnn", "predict", str(image), *options.words]
        runs = [run_once(command) for _ in range(options.runs + 1)][1:]  # the first one fills the disk's cache
    cpu, wall, memory = zip(*runs, strict=True)
    record = {
        "runs": options.runs,
        "cpu_seconds": statistics.median(cpu),
        "cpu_seconds_highest": max(cpu),
        "wall_seconds": statistics.median(wall),
        "memory_mb": statistics.median(memory),
        "goal_cpu_seconds": GOAL,
    }
    if options.json:
        print(json.dumps(record))
        return
    print(
        f"{record['cpu_seconds']:.3f} s of processor (highest {record['cpu_seconds_highest']:.3f}, goal {GOAL}), "
        f"{record['wall_seconds']:.3f} s by the clock, {record['memory_mb']:.0f} MB; medians of {options.runs}"
    )


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a picture of a digit (default: one is drawn)")
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


if __name__ == "__main__":
    main()
