"""Read the images that the command line names, and print a row for each; for digits and for whole numbers."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import click

from mnist_cnn.cli.bulk_output import TABLES
from mnist_cnn.cli.inputs import STDIN, STDIN_NAME, find_images, image_files
from mnist_cnn.cli.options import PATH
from mnist_cnn.cli.rows import Rows
from mnist_cnn.errors import DataError, ImageError, SettingError
from mnist_cnn.files import check_writable, write_whole

if TYPE_CHECKING:
    from PIL.Image import Image

    from mnist_cnn.bulk.job import Job

Reading = TypeVar("Reading")
Explained = TypeVar("Explained")
ReadMany: TypeAlias = "Callable[[Iterable[str | bytes]], Iterator[tuple[str | bytes, Reading | DataError]]]"

_PICTURES = (".png", ".jpg", ".jpeg")  # not WebP, which takes 16,383 pixels at most
_EXPLAINED = 100  # most images in one picture; viewers fail on much taller ones

images_argument = click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(allow_dash=True),
    help="Images; folders, whose hidden files are skipped; or - for standard input: one image, or a list of paths, "
    "one per line.",
)
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    help="Output format (default: table).",
)
threads_option = click.option(
    "--threads",
    type=int,
    help="Number of threads, or of processes if there are many images, 1 to 1024 (default: one per core).",
)
output_option = click.option(
    "--output",
    type=PATH,
    help="A picture, for --explain, which it implies (default: explanation.png); or FILE.csv or FILE.parquet, for all "
    "rows. If reading is interrupted, the same command continues.",
)
length_option = click.option(
    "--length", metavar="N|N-M", help="Number of digits, if known, such as 5 or 3-6 (default: any)."
)
pattern_option = click.option(
    "--pattern",
    metavar="REGEX",
    help=r"Regular expression over digits that the whole number matches, such as '[1-9]\d{4}' (default: any).",
)
second_opinion_option = click.option(
    "--second-opinion", is_flag=True, help="Let RapidOCR's network read each image too (slower; needs the extra ocr)."
)


def explain_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option `--explain` with this help text."""
    return click.option("--explain", is_flag=True, help=text)


def choose_form(form: str, as_json: bool) -> str:
    """Return the form of the rows.

    Raises:
        SettingError: There are two.
    """
    if as_json and form != "table":
        raise SettingError(f"--json and --format {form} exclude each other. Omit one of them.")
    return "json" if as_json else form


def choose_threads(threads: int | None, paths: Sequence[str]) -> int | None:
    """Return 1 for one image, which is read before a second thread could start; None for the default."""
    alone = len(paths) == 1 and os.path.isfile(paths[0])  # noqa: PTH113  # never raises
    return 1 if alone and threads is None else threads


def quieten() -> None:
    """Prepare this process for reading. Before NumPy and Pillow are imported."""
    # Starting OpenBLAS' threads takes 60 ms of processor time, and reading does not use them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    warnings.filterwarnings("ignore", module="PIL")  # about unusual images that can still be read


class Explanations(Generic[Reading, Explained]):
    """The pictures of `--explain`, collected for one file."""

    def __init__(
        self,
        output: Path,
        explain: Callable[[str, str | bytes, Reading], Explained],
        draw: Callable[[Sequence[Explained]], Image],
    ) -> None:
        """Collect nothing yet.

        Args:
            output: From `choose_picture`.
            explain: Makes a row from name, image and reading.
            draw: Draws at least one row.
        """
        self._output, self._explain, self._draw = output, explain, draw
        self._rows: list[Explained] = []

    def add(self, name: str, image: str | bytes, reading: Reading) -> None:
        """Keep what is needed to draw a row, unless there are enough."""
        if len(self._rows) == _EXPLAINED:
            return
        try:
            self._rows.append(self._explain(name, image, reading))
        except DataError:  # the file was removed after it was read
            return

    def finish(self, readable: int) -> None:
        """Draw the picture if there is a row.

        Args:
            readable: Number of images that were read.
        """
        if not self._rows:
            return
        with write_whole(self._output) as partial_file:
            self._draw(self._rows).save(partial_file)
        click.echo(f"Explanation: {self._output}", err=True)
        if readable > len(self._rows):
            click.echo(f"NOTE: the picture shows the first {len(self._rows)} of {readable:,} images.", err=True)


def choose_picture(output: Path | None, paths: Sequence[str]) -> Path:
    """Return the path of the picture to draw, checked before any image is read.

    Raises:
        InputError: Its suffix is not that of a picture, or it is one of the images to read.
        WriteError: It cannot be written.
    """
    picture = output or Path("explanation.png")
    if picture.suffix.lower() not in _PICTURES:
        raise SettingError(
            f"--output {picture} is neither a picture nor a table. Valid suffixes: {', '.join(_PICTURES)} for a "
            f"picture; {', '.join(TABLES)} for all rows."
        )
    check_writable(picture)
    if picture.exists() and any(
        Path(path).name == picture.name and os.path.exists(path) and picture.samefile(path)  # noqa: PTH110
        for path in image_files(word for word in paths if word != STDIN)
    ):
        raise SettingError(f"--output {picture} is one of the images to read. Choose another name.")
    return picture


@contextlib.contextmanager
def on_all_cores(job: Callable[[], Job], read_many: ReadMany[Reading], workers: int) -> Iterator[ReadMany[Reading]]:
    """Give a function that reads like `read_many`, but many images in processes, which end with the block.

    Args:
        job: Gives what processes need to read in the same way.
        read_many: Reads in threads of this process.
        workers: Number of processes; 1 for none.
    """
    if workers == 1:
        yield read_many
        return
    from mnist_cnn.bulk.local_reading import LocalReader

    with LocalReader(job, read_many, workers) as reader:
        yield reader.read_many


def print_readings(
    paths: Sequence[str],
    read_many: ReadMany[Reading],
    rows: Rows[Reading],
    explanations: Explanations[Reading, Any] | None = None,
) -> None:
    """Read all images and print their rows.

    Raises:
        ImageError: There are none.
    """
    hidden = sys.stdout.isatty() or not sys.stderr.isatty()  # rows on the same terminal show the progress
    count = None if hidden or STDIN in paths else sum(1 for _ in image_files(paths))
    with click.progressbar(_read(read_many, paths), length=count, file=sys.stderr, hidden=hidden) as results:
        for name, image, result in results:
            rows.add(name, result)
            if explanations and not isinstance(result, DataError):
                explanations.add(name, image, result)
    if not rows.count:
        places = ", ".join(STDIN_NAME if path == STDIN else path for path in paths)
        raise ImageError(f"found no images in {places}. Name image files, or folders that contain some.")
    rows.finish()
    if explanations:
        explanations.finish(rows.count - rows.unreadable)


def _read(read_many: ReadMany[Reading], paths: Sequence[str]) -> Iterator[tuple[str, str | bytes, Reading | DataError]]:
    """Yield each image with its displayed name and its reading or error."""
    for images in find_images(paths):
        for image, result in read_many(images):
            yield STDIN if isinstance(image, bytes) else image, image, result
