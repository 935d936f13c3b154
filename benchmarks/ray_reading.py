"""Bulk reading with Ray: images per second on one worker, on two, and on two nodes simulated on this machine.

Beside it, the reader's own rate in one process. Each image is five of scikit-learn's digits, pasted side by side;
`--digits` reads single digits instead. The start of Ray and of the workers is measured apart: the rate counts from the
first part to the last.

    python benchmarks/ray_reading.py [--images 4000] [--digits] [--parquet]
"""

from __future__ import annotations

import argparse
import contextlib
import pickle
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mnist_cnn.bulk.bulk_reading import read_in_bulk
from mnist_cnn.bulk.job import Job, load_reader
from mnist_cnn.bulk.part_reading import read_part
from mnist_cnn.bulk.parts import IMAGES, cut_into_parts
from mnist_cnn.reading.reading_records import DIGIT, TEXT
from records import add_options, add_record

_PICTURES = 256  # different ones; the others are links to these
_THRESHOLD = 0.5  # decides only what is accepted
_STORE = 80 * 2**20  # bytes of a node's object store, the smallest one


def main() -> None:
    """Measure and print."""
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder:
        names = make_pictures(Path(folder), options)
        rows = list(measure(names, Path(folder), DIGIT if options.digits else TEXT))
    for row in rows:
        print(
            "  ".join(
                f"{key} {value:,.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
            )
        )
    add_record(options, {"images": options.images, "digits": options.digits, "parquet": options.parquet, "rows": rows})


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--digits", action="store_true", help="read single digits, not whole numbers")
    parser.add_argument("--parquet", action="store_true", help="read a Parquet file, not image files")
    add_options(parser)
    options = parser.parse_args()
    if options.images <= IMAGES:  # the rate counts from the first part to the last
        parser.error(f"--images {options.images} gives fewer than two parts. Valid: {IMAGES + 1} or more.")
    return options


def make_pictures(folder: Path, options: argparse.Namespace) -> list[str]:
    """Paste digits side by side, and name as many files as there are images, or the Parquet file that contains them."""
    from mnist_cnn.reading.scaling import bundled_digits

    digits, random = bundled_digits(10).images, np.random.default_rng(0)
    for index in range(min(_PICTURES, options.images)):
        several = digits[random.integers(len(digits), size=1 if options.digits else 5)]
        line = 255 - np.pad(np.concatenate(list(several), axis=1), 12)
        Image.fromarray(line).resize((line.shape[1] * 3, line.shape[0] * 3)).save(folder / f"{index}.png")
    files = [folder / f"{index % _PICTURES}.png" for index in range(options.images)]
    if not options.parquet:
        return list(map(str, files))
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [file.read_bytes() for file in files]}), folder / "images.parquet")
    return [str(folder / "images.parquet")]


def measure(names: list[str], folder: Path, heading: str) -> Iterator[dict[str, Any]]:
    """Yield a row for each way to read, with its efficiency: images per second and core, relative to the first one."""
    job = Job(heading, _THRESHOLD)
    load_reader(job)
    alone = 0.0
    for what, workers, cluster in (
        ("one process", 1, None),
        ("Ray, one worker", 1, local(1)),
        ("Ray, two workers", 2, local(2)),
        ("Ray, two nodes", 2, nodes(2)),
    ):
        with cluster or contextlib.nullcontext() as address:
            row = read_all(job, names, folder / "rows.csv", address)
        alone = alone or row["images_per_second"]
        yield {"what": what, **row, "efficiency": row["images_per_second"] / workers / alone}
    yield {"what": "overhead", **overhead(job, names)}


def read_all(job: Job, names: list[str], output: Path, address: str | None) -> dict[str, float]:
    """Give the seconds until the first part is there, and the rate from then on."""
    times: list[tuple[float, int]] = [(time.perf_counter(), 0)]
    read_in_bulk(
        job, names, output, paths=["images"], ray=address,
        on_progress=lambda done, images: times.append((time.perf_counter(), done)),
    )  # fmt: skip
    output.unlink()
    (began, _), (first, start), (last, images) = times[0], next(each for each in times if each[1]), times[-1]
    return {"first_part_seconds": first - began, "images_per_second": (images - start) / (last - first)}


def overhead(job: Job, names: list[str]) -> dict[str, float]:
    """Give what a part costs besides reading: bytes and seconds to send it and its rows, of pickle alone."""
    part = next(cut_into_parts(names))
    rows = read_part(job, part)
    sent, seconds = 0, 0.0
    for value in (part, rows):
        began = time.perf_counter()
        data = pickle.dumps(value)
        pickle.loads(data)  # noqa: S301 - our own
        seconds += time.perf_counter() - began
        sent += len(data)
    return {"bytes_per_image": sent / part.count, "pickle_microseconds_per_image": seconds / part.count * 1e6}


@contextlib.contextmanager
def local(cores: int) -> Iterator[str]:
    """Start a local Ray with this many cores."""
    with nodes(1, cores) as address:
        yield address


@contextlib.contextmanager
def nodes(count: int, cores: int = 1) -> Iterator[str]:
    """Simulate nodes on this machine."""
    from ray.cluster_utils import Cluster

    settings = {"num_cpus": cores, "object_store_memory": _STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=settings)
    try:
        for _ in range(count - 1):
            cluster.add_node(**settings)
        yield cluster.address
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
