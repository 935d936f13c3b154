"""Bulk reading: images per second without Ray, with one and two Ray workers, and on two nodes simulated on one machine.

Beside it, the reader's own rate in one process and one thread, and in two such processes at once, which is what two
cores could give. Each image is a PNG of five of scikit-learn's digits, side by side; `--digits` reads single digits.
The ways take turns; each figure is the median of the rounds. A rate counts from the first parts to the last; the start
of Ray and of its workers is measured apart. Also: what a worker spends on each step of an image, what passes between
the processes, and how many images the process that writes could manage if reading took no time.

    python benchmarks/ray_reading.py [--digits] [--images N] [--rounds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import pickle
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

from mnist_cnn.bulk import cluster, local_reading
from mnist_cnn.bulk.bulk_reading import read_in_bulk
from mnist_cnn.bulk.job import Job, LoadedReader, load_reader
from mnist_cnn.bulk.part_reading import PartRows, read_part
from mnist_cnn.bulk.parts import IMAGES, ImagePart, cut_into_parts
from mnist_cnn.reading.reading_records import DIGIT, TEXT, digit_record, number_record
from records import add_options, add_record

_PICTURES = 256  # different ones; the others are the same files again
_THRESHOLD = 0.5  # decides only what is accepted
_STORE = 80 * 2**20  # bytes of a node's object store, the smallest one
_FEWEST = 4  # parts; the first ones of two workers do not count
_EMPTY_PARTS = 1000  # for the rate without reading
_RUNS = 10  # of a batch
_CLOCKS = "clocks"  # folder in which workers note what a part took them

Figures = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """A way to read many images.

    Attributes:
        name: For the table.
        cores: Number of processes or threads that read.
        run: Reads images with a job in a folder, and gives figures, `images_per_second` among them.
    """

    name: str
    cores: int
    run: Callable[[Job, list[str], Path], Figures]


def main() -> None:
    """Measure, print and record."""
    options = parse_options()
    job = Job(DIGIT if options.digits else TEXT, _THRESHOLD)
    with tempfile.TemporaryDirectory() as folder:
        names = make_pictures(Path(folder), options)
        result: Figures = {
            "reads": "digits" if options.digits else "numbers",
            "images": options.images,
            "rounds": options.rounds,
            "image_bytes": statistics.fmean(Path(name).stat().st_size for name in names),
            "ways": compare(job, names, Path(folder), options.rounds),
            **step_times(job, names[: 2 * _PICTURES]),
            "traffic": traffic(job, names),
            "without_reading": without_reading(job, names, Path(folder)),
        }
    show(result)
    add_record(options, result)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digits", action="store_true", help="read single digits, not whole numbers")
    parser.add_argument("--images", type=int, help="default: 384, or 3072 single digits")
    parser.add_argument("--rounds", type=int, default=3)
    add_options(parser)
    options = parser.parse_args()
    if options.images is None:
        options.images = 3072 if options.digits else 384
    if options.images < _FEWEST * IMAGES:
        parser.error(f"--images {options.images} are too few. Valid: {_FEWEST * IMAGES} or more.")
    return options


def make_pictures(folder: Path, options: argparse.Namespace) -> list[str]:
    """Paste digits side by side, and name as many files as there are images."""
    from mnist_cnn.reading.scaling import bundled_digits

    digits, random = bundled_digits(10).images, np.random.default_rng(0)
    for index in range(_PICTURES):
        several = digits[random.integers(len(digits), size=1 if options.digits else 5)]
        line = 255 - np.pad(np.concatenate(list(several), axis=1), 12)
        Image.fromarray(line).resize((line.shape[1] * 3, line.shape[0] * 3)).save(folder / f"{index}.png")
    return [str(folder / f"{index % _PICTURES}.png") for index in range(options.images)]


def compare(job: Job, names: list[str], folder: Path, rounds: int) -> list[Figures]:
    """Read in every way, in turn; give the medians, and how much of the cores' own rate each way reaches."""
    measured: dict[str, list[Figures]] = {way.name: [] for way in WAYS}
    for number in range(rounds):
        for way in WAYS:
            figures = way.run(job, names, folder)
            measured[way.name].append(figures)
            print(f"round {number + 1}: {way.name}: {figures['images_per_second']:,.1f} images per second", flush=True)
    medians = {
        name: {key: statistics.median(each[key] for each in found) for key in found[0]}
        for name, found in measured.items()
    }
    own = medians[WAYS[0].name]["images_per_second"]
    return [
        {
            "way": way.name,
            "cores": way.cores,
            **medians[way.name],
            "efficiency": medians[way.name]["images_per_second"] / way.cores / own,
        }
        for way in WAYS
    ]


def own_rate(job: Job, names: list[str]) -> float:
    """Read in this process and thread, without a table; give images per second."""
    reader, batches = load_reader(job), cut(names)
    reader.read_batch(batches[0][:1])
    began = time.perf_counter()
    for batch in batches:
        reader.read_batch(batch)
    return len(names) / (time.perf_counter() - began)


def cut(images: list[str] | list[bytes]) -> list[list[tuple[str, str | bytes]]]:
    """Cut images into batches as large as parts; without names."""
    return [[("", image) for image in images[start : start + IMAGES]] for start in range(0, len(images), IMAGES)]


def alone(job: Job, names: list[str], folder: Path) -> Figures:
    """The reader's own rate."""
    return {"images_per_second": own_rate(job, names)}


def side_by_side(job: Job, names: list[str], folder: Path) -> Figures:
    """The reader's own rate in two processes at the same time."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(own_rate, [job] * 2, [names[:1]] * 2))  # both are there and have loaded the network
        return {"images_per_second": sum(pool.map(own_rate, [job] * 2, [names] * 2))}


def without_ray(processes: int) -> Callable[[Job, list[str], Path], Figures]:
    """Read into a table without Ray."""

    def run(job: Job, names: list[str], folder: Path) -> Figures:
        return read_table(job, names, folder, threads=processes, lead=processes)

    return run


def on_nodes(count: int, cores: int) -> Callable[[Job, list[str], Path], Figures]:
    """Read into a table with Ray, on nodes that are simulated on this machine."""

    def run(job: Job, names: list[str], folder: Path) -> Figures:
        clocks = folder / _CLOCKS
        clocks.mkdir()
        workers = count * cores
        with nodes(count, cores) as address, timed_by_workers(clocks):
            figures = read_table(job, names, folder, ray=address, lead=workers)
        parts = [list(map(float, file.read_text("utf-8").split()))[1:] for file in clocks.iterdir()]  # not the first
        for file in clocks.iterdir():
            file.unlink()
        clocks.rmdir()
        seconds = statistics.fmean(each for process in parts for each in process) / IMAGES
        return {**figures, "worker_share": seconds * figures["images_per_second"] / workers}

    return run


@contextlib.contextmanager
def timed_by_workers(folder: Path) -> Iterator[None]:
    """Let each worker note the seconds that each of its parts took, by its own clock."""

    def timed(job: Job, part: ImagePart) -> PartRows:
        import os

        began = time.perf_counter()
        rows = read_part(job, part)
        with (folder / str(os.getpid())).open("a", encoding="utf-8") as clock:
            clock.write(f"{time.perf_counter() - began}\n")
        return rows

    with mock.patch.object(cluster, "read_part", timed):
        yield


def read_table(
    job: Job, names: list[str], folder: Path, *, threads: int = 1, ray: str | None = None, lead: int = 1
) -> Figures:
    """Read into a table; give the seconds until the first rows, and the rate from the first parts on.

    Args:
        job: What to read.
        names: The files.
        folder: For the table.
        threads: Number of processes without Ray.
        ray: Address of a cluster.
        lead: Number of parts that are read at the same time, which do not count.
    """
    output = folder / "rows.csv"
    times: list[tuple[float, int]] = []
    began = time.perf_counter()
    read_in_bulk(
        job, names, output, paths=["images"], threads=threads, ray=ray,
        on_progress=lambda done, images: times.append((time.perf_counter(), done)),
    )  # fmt: skip
    output.unlink()
    (first, _), (start, before), (end, images) = times[1], times[lead], times[-1]
    return {"first_rows_seconds": first - began, "images_per_second": (images - before) / (end - start)}


@contextlib.contextmanager
def nodes(count: int, cores: int) -> Iterator[str]:
    """Simulate nodes on this machine."""
    from ray.cluster_utils import Cluster

    settings = {"num_cpus": cores, "object_store_memory": _STORE, "include_dashboard": False}
    simulated = Cluster(initialize_head=True, head_node_args=settings)
    try:
        for _ in range(count - 1):
            simulated.add_node(**settings)
        yield simulated.address
    finally:
        simulated.shutdown()


WAYS = (
    Way("the reader alone, one process", 1, alone),
    Way("the reader alone, two processes", 2, side_by_side),
    Way("without Ray, one process", 1, without_ray(1)),
    Way("without Ray, two processes", 2, without_ray(2)),
    Way("Ray, one worker", 1, on_nodes(1, 1)),
    Way("Ray, two workers", 2, on_nodes(1, 2)),
    Way("Ray, two nodes with one worker each", 2, on_nodes(2, 1)),
)


class TimedSession:
    """A session of ONNX Runtime that adds up the time of its runs.

    Attributes:
        seconds: Their sum.
    """

    def __init__(self, session: Any) -> None:
        self.seconds = 0.0
        self._session = session
        self._last: Any = None

    def run(self, outputs: Any, feed: dict[str, Any]) -> Any:
        """Run the network."""
        self._last = outputs, {name: array[:1] for name, array in feed.items()}
        began = time.perf_counter()
        try:
            return self._session.run(outputs, feed)
        finally:
            self.seconds += time.perf_counter() - began

    def saved_by_batch(self) -> float:
        """Give the share of the network's time that is saved if as many images as in a part go through it together.

        The images are all the last one, so the lines of numbers have the same width.
        """
        outputs, one = self._last
        many = {name: np.repeat(array, IMAGES, axis=0) for name, array in one.items()}
        _, alone = timed(lambda feed: self._session.run(outputs, feed), [one] * IMAGES * _RUNS)
        _, together = timed(lambda feed: self._session.run(outputs, feed), [many] * _RUNS)
        return 1 - together / IMAGES / alone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def step_times(job: Job, names: list[str]) -> Figures:
    """Give the microseconds of each step of an image, in one thread, and what batches save of the network's.

    The rest is decoding, and closer looks at doubtful numbers.
    """
    reader, prepare, session = timed_reader(job)
    contents, file = timed(lambda name: Path(name).read_bytes(), names)
    reader.read_batch([("", contents[0])])
    _, preparation = timed(prepare, contents)
    session.seconds = 0.0
    batches = cut(contents)
    reading = timed(reader.read_batch, batches)[1] * len(batches) / len(names)
    network = session.seconds / len(names) * 1e6
    rest = reading - preparation - network
    steps = {"file": file, "preparation": preparation, "network": network, "rest": rest}
    return {"microseconds": steps, "saved_by_batch": session.saved_by_batch()}


def timed_reader(job: Job) -> tuple[LoadedReader, Callable[[Any], Any], TimedSession]:
    """Give a job's reader, the function that prepares an image, and the session that counts the network's time."""
    if job.heading == DIGIT:
        from mnist_cnn.reading.recognizer import Recognizer
        from mnist_cnn.reading.recognizer.arrangement import arrange_one

        recognizer = Recognizer.load(threads=1, threshold=_THRESHOLD)
        session = TimedSession(recognizer.network.session)
        recognizer = replace(recognizer, network=replace(recognizer.network, session=session))
        return LoadedReader(arrange_one, recognizer.read_prepared, digit_record), arrange_one, session
    from mnist_cnn.reading.numbers import NumberReader
    from mnist_cnn.reading.numbers.line_preparation import prepare

    numbers = NumberReader.load(threads=1, threshold=_THRESHOLD)
    session = TimedSession(numbers.network.session)
    numbers = replace(numbers, network=replace(numbers.network, session=session))
    return LoadedReader(numbers.read, list, number_record), prepare, session


def timed(work: Callable[[Any], Any], items: list[Any]) -> tuple[list[Any], float]:
    """Give the results, and the mean microseconds of an item."""
    began = time.perf_counter()
    results = [work(item) for item in items]
    return results, (time.perf_counter() - began) / len(items) * 1e6


def traffic(job: Job, names: list[str]) -> Figures:
    """Give what passes between the processes for an image, both ways, and what serialising it costs on both sides.

    The names of a part and its rows are serialised once each. The job is, once for a run; each part deserialises it.
    """
    part = next(cut_into_parts(names))
    rows = read_part(job, part)
    _, both = timed(lambda value: pickle.loads(pickle.dumps(value)), [part, rows] * 100)  # noqa: S301 - our own
    sent = pickle.dumps(job.for_other_machines())
    _, again = timed(pickle.loads, [sent] * 100)
    return {
        "bytes_to_worker": len(pickle.dumps(part)) / part.count,
        "bytes_from_worker": len(pickle.dumps(rows)) / part.count,
        "row_bytes": len(rows.lines) / part.count,
        "job_bytes": len(sent),
        "microseconds": (2 * both + again) / part.count,
    }


def without_reading(job: Job, names: list[str], folder: Path) -> Figures:
    """Give the images per second of the process that writes, if parts are read in no time, without and with Ray."""
    part = next(cut_into_parts(names))
    lines = read_part(job, part).lines

    def nothing(job: Job, part: ImagePart, threads: int = 1) -> PartRows:
        return PartRows(lines, Counter({"": part.count}))

    many = (names * (_EMPTY_PARTS * IMAGES // len(names) + 1))[: _EMPTY_PARTS * IMAGES]
    with mock.patch.object(local_reading, "read_part", nothing):
        here = read_table(job, many, folder)
    with mock.patch.object(cluster, "read_part", nothing), nodes(1, 1) as address:
        ray = read_table(job, many, folder, ray=address, lead=2)
    return {"here": here["images_per_second"], "ray": ray["images_per_second"]}


def show(result: Figures) -> None:
    """Print everything."""
    for row in result["ways"]:
        print(row["way"], "  ".join(f"{key} {value:,.4g}" for key, value in row.items() if key != "way"), sep="  ")
    print(f"saved_by_batch {result['saved_by_batch']:.4g}")
    for key in ("microseconds", "traffic", "without_reading"):
        print(key, "  ".join(f"{name} {value:,.4g}" for name, value in result[key].items()))


if __name__ == "__main__":
    main()
