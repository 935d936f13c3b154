"""Reading in processes: the same rows as in threads, Ctrl-C, and processes that are killed."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from cli import commands
from mnist_cnn.bulk import local_reading
from mnist_cnn.bulk.job import Job
from mnist_cnn.bulk.local_reading import LocalReader
from mnist_cnn.errors import DataError, MnistCnnError
from mnist_cnn.reading.reading_records import DIGIT
from mnist_cnn.reading.recognizer import Recognizer


@pytest.fixture
def images(forms: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Some images, one of them damaged."""
    monkeypatch.setattr(local_reading, "_CHUNK", 4)
    return [*map(str, sorted(forms.glob("*.png"))[:14]), str(forms / "damaged.png")]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes read from the first image on."""
    monkeypatch.setattr(local_reading, "_SOON", 0.0)


@pytest.mark.usefixtures("soon")
def test_processes_read_what_threads_read(images: list[str]) -> None:
    recognizer = Recognizer.load(threads=1)
    content = Path(images[0]).read_bytes()
    everything: list[str | bytes] = [*images, content]
    with LocalReader(lambda: Job(DIGIT, recognizer.threshold), recognizer.read_many, 2) as reader:
        found = [*reader.read_many(images), *reader.read_many([]), *reader.read_many([content])]
    for (image, result), (same, expected) in zip(found, recognizer.read_many(everything), strict=True):
        assert image == same
        if isinstance(expected, DataError):
            assert repr(result) == repr(expected)
        else:
            assert result.label == expected.label
            np.testing.assert_array_equal(result.probabilities, expected.probabilities)


@dataclass(frozen=True)
class CountedJob(Job):
    """A job that counts how often it is serialised."""

    def __getstate__(self) -> Any:
        STORED.append(self.heading)
        return self.__dict__


STORED: list[str] = []


@pytest.mark.usefixtures("soon")
def test_the_network_is_stored_once_for_all_processes(images: list[str]) -> None:
    STORED.clear()
    recognizer = Recognizer.load(threads=1)
    job = CountedJob(DIGIT, recognizer.threshold)
    with LocalReader(lambda: job, recognizer.read_many, 2) as reader:
        assert len(list(reader.read_many(images * 3))) == 3 * len(images)
    assert len(STORED) == 1


def test_few_images_start_no_process(images: list[str]) -> None:
    def job() -> Job:
        raise AssertionError

    with LocalReader(job, Recognizer.load(threads=2).read_many, 2) as reader:
        assert len(list(reader.read_many(images[:2]))) == 2
        assert len(list(reader.read_many(images[2:3]))) == 1
    with LocalReader(job, Recognizer.load(threads=1).read_many, 1) as reader:
        assert len(list(reader.read_many(images))) == len(images)


@pytest.mark.usefixtures("soon")
def test_a_killed_process_is_one_line(images: list[str]) -> None:
    def endless() -> Iterator[str]:
        yield from itertools.cycle(images[:1])

    def kill_after(count: int, results: Iterable[object]) -> None:
        for index, _ in enumerate(results):
            if index == count:
                for child in multiprocessing.active_children():
                    child.kill()

    with (
        pytest.raises(MnistCnnError, match="was killed, probably for lack of memory"),
        LocalReader(lambda: Job(DIGIT, 0.5), Recognizer.load(threads=1).read_many, 2) as reader,
    ):
        kill_after(20, reader.read_many(endless()))


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_without_a_traceback(forms: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("0000.png\n" * 50_000, "utf-8")
    with names.open("rb") as stdin, (tmp_path / "rows.csv").open("wb") as rows:
        command = [*commands.COMMAND, "predict", "-", "--format", "csv", "--threads", "2"]
        process = subprocess.Popen(command, cwd=forms, stdin=stdin, stdout=rows, stderr=subprocess.PIPE, text=True)
        children: list[psutil.Process] = []
        while len(children) < 2 and process.poll() is None:  # until processes read
            time.sleep(0.05)
            children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not psutil.wait_procs(children, timeout=10)[1]
