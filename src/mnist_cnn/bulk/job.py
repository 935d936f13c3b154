"""What is to be read and how: all that a process needs to read a part, on any machine."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from mnist_cnn.bulk.image_tables import Columns
from mnist_cnn.environment.installation import PACKAGE
from mnist_cnn.environment.machine import package_version
from mnist_cnn.errors import DataError
from mnist_cnn.files import ONNX_NAME, hash_file
from mnist_cnn.reading.reading_records import DIGIT, digit_record, number_record
from mnist_cnn.reading.recognizer.ahead import map_ahead

ModelFiles = tuple[tuple[str, bytes], ...]
Image: TypeAlias = "str | bytes"  # its path or content
Name = TypeVar("Name")


@dataclass(frozen=True)
class Job:
    """Everything that decides what the rows of a table say. It can be sent to other machines."""

    heading: str  #: the column with what was read, "digit", or "text" for whole numbers
    threshold: float  #: minimum confidence, 0 to 1, of an accepted reading
    model: ModelFiles = field(default=(), repr=False)  #: the files of a network by name, none for the included weights
    scale: float | None = None  #: of `Recognizer.load`
    length: str | None = None  #: of `NumberReader.read`
    pattern: str | None = None  #: of `NumberReader.read`
    second_opinion: bool = False  #: of `NumberReader.load`
    columns: Columns = field(default_factory=Columns)  #: of Parquet files
    folder: str = field(default_factory=lambda: str(Path.cwd()))  #: the folder in which relative paths begin
    version: str = field(default_factory=lambda: package_version(PACKAGE))  #: of this package
    weights: str = ""  #: digest of the included weights that the reading process must have; empty if not checked

    @property
    def header(self) -> tuple[str, ...]:
        """The columns of the table."""
        return ("path", self.heading, "confidence", "accepted", "reason", "error")

    def describe(self) -> dict[str, Any]:
        """Return the settings as values for JSON; a digest stands for the network."""
        digest = hashlib.sha256(repr(self.model).encode()).hexdigest()
        included = f"the included weights, {included_weights(self.heading)}"
        return {**dataclasses.asdict(self), "model": digest if self.model else included}

    def for_other_machines(self) -> Job:
        """Return the same job, which machines with other included weights refuse if it needs them."""
        return self if self.model else dataclasses.replace(self, weights=included_weights(self.heading))


@functools.cache
def included_weights(heading: str) -> str:
    """Return a digest of the included weights, which change more often than the version of this package.

    Args:
        heading: As in `Job`.
    """
    from mnist_cnn.reading import recognizer
    from mnist_cnn.reading.numbers import number_reader

    file = recognizer.SHIPPED_WEIGHTS if heading == DIGIT else number_reader.SHIPPED_WEIGHTS
    return hash_file(file)


@dataclass(frozen=True)
class LoadedReader:
    """A loaded network, and how its readings become records."""

    prepare: Callable[[Image], Any]  #: raises DataError
    read_prepared: Callable[[list[Any]], list[Any]]  #: what `prepare` returned
    describe: Callable[[Any], dict[str, Any]]  #: a reading

    def read_batch(self, named: Iterable[tuple[Name, Image | DataError]], threads: int = 1) -> list[tuple[Name, Any]]:
        """Prepare each image, and read all of them with one run of the network.

        Args:
            named: Images with their names; an error stands for an image that could not be fetched.
            threads: Number of threads that prepare images.

        Returns:
            Each name with the reading, or with the error that says why the image cannot be read; in order.
        """
        prepared = list(map_ahead(self._prepare_or_error, named, threads))
        readings = iter(self.read_prepared([each for _, each in prepared if not isinstance(each, DataError)]))
        return [(name, each if isinstance(each, DataError) else next(readings)) for name, each in prepared]

    def _prepare_or_error(self, named: tuple[Name, Image | DataError]) -> tuple[Name, Any]:
        name, image = named
        if isinstance(image, DataError):
            return name, image
        try:
            return name, self.prepare(image)
        except DataError as error:
            return name, error


@functools.lru_cache(maxsize=1)
def load_reader(job: Job) -> LoadedReader:
    """Load the network of a job, once in each process.

    Raises:
        InputError: It cannot be loaded here.
    """
    import cv2

    cv2.setNumThreads(1)  # each core reads images of its own
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever made the job has seen them
        for name, content in job.model:
            Path(folder, name).write_bytes(content)
        path = Path(folder, ONNX_NAME) if job.model else None
        if job.heading == DIGIT:
            from mnist_cnn.reading.recognizer import Recognizer
            from mnist_cnn.reading.recognizer.arrangement import arrange_one

            recognizer = Recognizer.load(path, threads=1, threshold=job.threshold, scale=job.scale)
            return LoadedReader(arrange_one, recognizer.read_prepared, digit_record)
        from mnist_cnn.reading.numbers import NumberReader

        reader = NumberReader.load(path, threads=1, threshold=job.threshold, second_opinion=job.second_opinion)
        read = functools.partial(reader.read, length=job.length, pattern=job.pattern)
        return LoadedReader(read, list, number_record)  # lines differ in width, so each goes through the network alone


def collect_model(path: Path | None) -> ModelFiles:
    """Return the files of a network, the first under the name that `load_reader` gives it; none for `path` None.

    Raises:
        ModelFileError: It cannot be read.
    """
    if path is None:
        return ()
    from mnist_cnn.reading.recognizer.model_file import read_model_file, read_second_files

    data, origin = read_model_file(path)
    return ((ONNX_NAME, data), *sorted(read_second_files(data, Path(origin)).items()))
