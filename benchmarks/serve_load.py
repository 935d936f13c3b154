"""How many single images a second the server reads, how fast, and how it behaves under overload.

The real `mnist-cnn serve` runs in its own processes and gets requests over HTTP from this one: keep-alive connections,
each with one image in flight, real digits as PNG files. In the same run and in alternation, the same model answers
behind a plain FastAPI route without batching and, if `--bento-python` names an environment that has it, behind BentoML
with its adaptive batching. Each gets the body that suits it best, prepared in advance.

    python benchmarks/serve_load.py throughput [--bento-python ENV/bin/python] [--rounds 3] [--seconds 5]
    python benchmarks/serve_load.py memory [--requests 200000]
    python benchmarks/serve_load.py overload [--connections 512]
    python benchmarks/serve_load.py beside [--seconds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import uvloop
from numpy.typing import NDArray
from PIL import Image

from mnist_cnn.environment.machine import processor_name, usable_cores
from mnist_cnn.reading.ink import looks_like_mnist
from mnist_cnn.reading.recognizer import Recognizer
from serving.client import Load, Measured
from serving.servers import NOTHING, OWN, Server, bento_server, no_server, own_server, plain_server

IMAGES = 256  # different images, sent in rotation
PAUSE = 0.5  # seconds between two measurements
SMALL, LARGE = "28×28", "280×280"
GOAL_RATE, GOAL_P99 = 2000, 0.050  # images a second; seconds
QUARTERS = 4  # of the requests, after each of which memory is measured
SETTLED = 10_000  # requests after which memory counts: buffers and caches are filled
GROWTH = 5  # MiB that count as flat
STRETCH = 1.0  # seconds, in which recovery is measured
LARGE_SIDE = 3000  # pixels
GOAL_BESIDE = 0.2  # seconds, for nearly all drawings beside large pictures
RECOVERED = 0.8  # of the images a second before


@dataclass
class Row:
    """One server with one kind of image, over all rounds."""

    server: Server
    images: str
    rates: list[float] = field(default_factory=list)  # images a second
    cpu: list[float] = field(default_factory=list)  # seconds of the server's for one image
    latencies: list[float] = field(default_factory=list)  # seconds

    def add(self, measured: Measured) -> None:
        """Take one round."""
        if set(measured.latencies) != {200} or measured.broken:
            sys.exit(f"{self.server.name} answered {dict(measured.counts)}, and broke {measured.broken} connections.")
        self.rates.append(measured.rate)
        self.cpu.append(measured.cpu / measured.counts[200])
        self.latencies += measured.latencies[200]

    def markdown(self) -> str:
        """Write a line of the table."""
        cells = [self.server.name, self.server.version, self.images]
        cells += [f"{statistics.median(self.rates):,.0f}", *quantiles(self.latencies)]
        return "| " + " | ".join([*cells, f"{statistics.median(self.cpu) * 1e6:,.0f}"]) + " |"


def main() -> None:
    """Measure and print; end with code 1 if a goal was missed."""
    options = parse_options()
    measure = {"throughput": throughput, "memory": memory, "overload": overload, "beside": beside}[options.what]
    is_met = measure(options)
    print(f"\nMeasured on: {processor_name()}, {usable_cores()} cores, which client and server share.")
    sys.exit(0 if is_met else 1)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["throughput", "memory", "overload", "beside"])
    parser.add_argument("--dataset", default="digits", help="data set of the digits (default: scikit-learn's)")
    parser.add_argument("--data-dir", type=Path, help="folder of the data set")
    parser.add_argument("--bento-python", type=Path, help="interpreter of an environment with BentoML")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each measurement")
    parser.add_argument("--connections", type=int, help="default: 64, under overload 512")
    parser.add_argument("--requests", type=int, default=200_000, help="number of requests for memory")
    parser.add_argument("--workers", type=int, default=1, help="workers of our server")
    options = parser.parse_args()
    options.connections = options.connections or (512 if options.what == "overload" else 64)
    return options


def throughput(options: argparse.Namespace) -> bool:
    """Compare the servers, and give whether ours is fast enough."""
    rows = measure_throughput(options)
    print("| server | version | images | images a second | p50, ms | p95, ms | p99, ms | server's CPU, µs an image |")
    print("|---|---|---|--:|--:|--:|--:|--:|")
    print("\n".join(row.markdown() for row in rows))
    print(f"\n{options.connections} connections, {options.rounds} rounds of {options.seconds:g} s in alternation.")
    return judge_throughput(next(row for row in rows if row.server.name == OWN))


def measure_throughput(options: argparse.Namespace) -> list[Row]:
    """Load each server with each kind of image, in alternation."""
    digits = load_digits(options)
    files = {SMALL: [png(digit) for digit in digits], LARGE: [png(drawing(digit)) for digit in digits]}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(server.running()) for server in find_servers(options)]
        check_agreement(servers, files)
        rows = [Row(server, kind) for server in servers for kind in files if server.name != NOTHING or kind == SMALL]
        for turn in range(options.rounds):
            for row in rows[turn % len(rows) :] + rows[: turn % len(rows)]:  # so that each follows another
                print(f"round {turn + 1}/{options.rounds}: {row.server.name}, {row.images}", file=sys.stderr)
                row.add(ask(row.server, files[row.images], options))
                time.sleep(PAUSE)
    return rows


def judge_throughput(own: Row) -> bool:
    """Compare our server with its goals, and give whether it meets all of them."""
    rate, slow = statistics.median(own.rates), float(np.quantile(own.latencies, 0.99))
    is_many, is_soon = rate >= GOAL_RATE, slow <= GOAL_P99
    print(f"- images a second at {own.images}: {rate:,.0f} (at least {GOAL_RATE:,}: {verdict(is_many)})")
    print(f"- p99: {slow * 1e3:.1f} ms (at most {GOAL_P99 * 1e3:.0f}: {verdict(is_soon)})")
    return is_many and is_soon


def memory(options: argparse.Namespace) -> bool:
    """Give whether the memory of the server stays constant."""
    files = [png(image) for digit in load_digits(options) for image in (digit, drawing(digit))]
    with own_server(options.workers).running() as server:
        load = Load(server.port, server.requests(files))
        print("| requests | server's memory, MiB |\n|--:|--:|")
        sizes = [show_memory(server, 0)]
        done = 0
        for mark in (SETTLED, *(options.requests * quarter // QUARTERS for quarter in range(1, QUARTERS + 1))):
            uvloop.run(load.run(options.connections, answers=mark - done))
            done = mark
            sizes.append(show_memory(server, done))
    growth = sizes[-1] - sizes[1]
    is_flat = growth <= GROWTH
    print(f"\nFrom {SETTLED:,} to {done:,} requests: {growth:+.1f} MiB ({'flat' if is_flat else 'GROWING'}).")
    return is_flat


def show_memory(server: Server, requests: int) -> float:
    """Print one line, and give the MiB in it."""
    size = server.resident() / 2**20
    print(f"| {requests:,} | {size:.1f} |", flush=True)
    return size


def overload(options: argparse.Namespace) -> bool:
    """Send more requests than the server accepts, ignoring its refusals, and give whether it recovers."""
    files = [png(drawing(digit)) for digit in load_digits(options)]
    print("| load | connections | images a second | refused | p50 / p99 of answers, ms | of refusals, ms |")
    print("|---|--:|--:|--:|--:|--:|")
    rates = {}
    with own_server(options.workers).running() as server:
        load = Load(server.port, server.requests(files))
        for name, connections, seconds in (
            ("before", 64, options.seconds),
            ("overload", options.connections, options.seconds),
            ("the second after", 64, STRETCH),
            ("later", 64, options.seconds),
        ):
            measured = uvloop.run(load.run(connections, seconds=seconds))
            print(overload_line(name, connections, measured), flush=True)
            rates[name] = measured.rate
            if set(measured.latencies) - {200, 503} or measured.broken or measured.without_retry:
                sys.exit(f"answers {dict(measured.counts)}, {measured.broken} broken connections, and "
                         f"{measured.without_retry} refusals without Retry-After.")  # fmt: skip
    share = rates["the second after"] / rates["before"]
    has_recovered = share >= RECOVERED
    print("\nEvery refusal is a 503 with Retry-After; no connection broke.")
    print(f"In the second after: {share:.0%} of the rate before (at least {RECOVERED:.0%}: {verdict(has_recovered)}).")
    return has_recovered


def overload_line(name: str, connections: int, measured: Measured) -> str:
    """Write a line of the table."""
    served, refused = measured.latencies.get(200, []), measured.latencies.get(503, [])
    share = len(refused) / max(1, len(served) + len(refused))
    times = [" / ".join(quantiles(values)[::2]) if values else "–" for values in (served, refused)]
    return f"| {name} | {connections} | {measured.rate:,.0f} | {share:.1%} | {times[0]} | {times[1]} |"


def beside(options: argparse.Namespace) -> bool:
    """Send one drawing after the other, alone and beside large images, and give whether answers stay quick."""
    drawings, pictures = [png(drawing(digit)) for digit in load_digits(options)], [large_picture()]
    print("| one drawing at a time, 280×280 | answers | p50, ms | p95, ms | p99, ms | large pictures read |")
    print("|---|--:|--:|--:|--:|--:|")
    slowest = 0.0
    with own_server(options.workers).running() as server:
        for name, connections in (("alone", 0), (f"beside two JPEG 2000 of {len(pictures[0]) / 1e6:.1f} MB", 2)):
            few, many = uvloop.run(ask_beside(server, drawings, pictures, connections, options.seconds))
            if set(few.latencies) != {200} or set(many.latencies) - {200}:
                sys.exit(f"answers {dict(few.counts)} to drawings and {dict(many.counts)} to large pictures.")
            cells = [name, str(few.counts[200]), *quantiles(few.latencies[200]), str(many.counts[200])]
            print("| " + " | ".join(cells) + " |", flush=True)
            slowest = float(np.quantile(few.latencies[200], 0.99))
    goal = f"at most {GOAL_BESIDE * 1e3:.0f}: {verdict(slowest <= GOAL_BESIDE)}"
    print(f"\np99 beside them: {slowest * 1e3:.1f} ms ({goal})")
    return slowest <= GOAL_BESIDE


async def ask_beside(
    server: Server, files: list[bytes], large: list[bytes], connections: int, seconds: float
) -> tuple[Measured, Measured]:
    """Load a server over one connection, and with large files over some others; give both measurements."""
    loads = Load(server.port, server.requests(files)), Load(server.port, server.requests(large))
    few, many = await asyncio.gather(
        *(load.run(count, seconds=seconds) for load, count in zip(loads, (1, connections), strict=True))
    )
    return few, many


def large_picture() -> bytes:
    """Give a JPEG 2000 file of noise: no other kind takes longer to decode."""
    pixels, file = np.random.default_rng(0).integers(0, 256, (LARGE_SIDE, LARGE_SIDE), np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG2000")
    return file.getvalue()


def find_servers(options: argparse.Namespace) -> list[Server]:
    """Give all servers to compare, and print which are left out."""
    servers = [own_server(options.workers), plain_server()]
    if options.bento_python:
        servers.append(bento_server(options.bento_python))
    else:
        print("LEFT OUT: BentoML. Name an interpreter that has it: --bento-python ENV/bin/python", file=sys.stderr)
    return [*servers, no_server()]


def ask(server: Server, files: list[bytes], options: argparse.Namespace) -> Measured:
    """Load one server, and give the measurement."""
    load = Load(server.port, server.requests(files))
    return uvloop.run(load.run(options.connections, seconds=options.seconds, cpu_seconds=server.cpu_seconds))


def check_agreement(servers: list[Server], files: dict[str, list[bytes]]) -> None:
    """Stop if a server reads another digit than the recogniser."""
    recognizer = Recognizer.load(threads=1)
    for server in servers:
        for kind, several in files.items():
            expected = recognizer.read(several[0]).digit
            if server.name != NOTHING and server.read(several[0]) != expected:
                sys.exit(f"{server.name} does not read {expected} on a {kind} image. Is it the same model?")


def load_digits(options: argparse.Namespace) -> NDArray[np.uint8]:
    """Give real digits in MNIST's form, uint8 [256, 28, 28]."""
    from mnist_cnn.datasets import load_dataset

    split = "all" if options.dataset == "digits" else "test"
    images = load_dataset(options.dataset, split=split, data_dir=options.data_dir).images
    return np.array([image for image in images if looks_like_mnist(image)][:IMAGES])


def drawing(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn a digit into what a drawing page sends: ten times as large, dark on white, uint8 [280, 280]."""
    large = cv2.resize(digit, None, fx=10, fy=10, interpolation=cv2.INTER_CUBIC)
    return np.asarray(255 - large, np.uint8)


def verdict(met: bool) -> str:
    """Say whether a goal was met."""
    return "met" if met else "MISSED"


def png(image: NDArray[np.uint8]) -> bytes:
    """Write a PNG file."""
    return cv2.imencode(".png", image)[1].tobytes()


def quantiles(seconds: list[float]) -> list[str]:
    """Give p50, p95 and p99 in milliseconds."""
    return [f"{value * 1e3:.1f}" for value in np.quantile(seconds, (0.5, 0.95, 0.99))]


if __name__ == "__main__":
    main()
