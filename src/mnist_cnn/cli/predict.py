"""`mnist-cnn predict`: read files, folders or standard input, and print one row per image."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnist_cnn.cli.inputs import STDIN, find_images, image_files
from mnist_cnn.cli.options import PATH, json_option, scale_option
from mnist_cnn.cli.rows import Rows
from mnist_cnn.cli.verb import Verb
from mnist_cnn.errors import DataError, ImageError, SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnist_cnn.reading.recognizer import Reading, Recognizer
    from mnist_cnn.reading.recognizer.explanation import Explained

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_EXPLAINED = 100  # most images in one picture; viewers fail on much taller ones


@click.command(cls=Verb, example="mnist-cnn predict photo.jpg scans/ --explain")
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(allow_dash=True),
    help="Images; folders, whose hidden files are skipped; or - for standard input: one image, or a list of paths, "
    "one per line.",
)
@click.option("--model", type=PATH, help="An ONNX file or an exported run (default: the included weights).")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl"]),
    default="table",
    help="Output format (default: table).",
)
@click.option("--threshold", type=float, help="Minimum confidence to accept a digit, 0 to 1 (default: the model's).")
@scale_option
@click.option("--threads", type=int, help="Number of threads, 1 to 1024 (default: one per core).")
@click.option("--explain", is_flag=True, help="Also draw a picture of the steps that prepare each image.")
@click.option(
    "--output", type=PATH, help="File for the picture of --explain, which it implies (default: explanation.png)."
)
@json_option
def predict(
    paths: tuple[str, ...],
    model: Path | None,
    form: str,
    threshold: float | None,
    scale: float | None,
    threads: int | None,
    explain: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Read the digit in each image.

    Exit code 0: all images were read. 1: some could not be read, as their rows say. 2: no image was found.
    """
    if as_json and form != "table":
        raise SettingError(f"--json and --format {form} exclude each other. Omit one of them.")
    picture = _explanation(output, paths) if explain or output else None
    # Starting OpenBLAS' threads takes 60 ms of processor time, and reading does not use them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    warnings.filterwarnings("ignore", module="PIL")  # about unusual images that can still be read
    warnings.filterwarnings("ignore", message=".* is assumed")  # reported below
    from mnist_cnn.reading.recognizer import Recognizer

    threads = _threads(paths) if threads is None else threads
    recognizer = Recognizer.load(model, threads=threads, threshold=threshold, scale=scale)
    if recognizer.choice.origin in ("tried", "assumed"):
        click.echo(f"NOTE: {recognizer.choice.remark}", err=True)
    rows = Rows("json" if as_json else form, recognizer.class_names)
    explained: list[Explained] = []
    hidden = sys.stdout.isatty() or not sys.stderr.isatty()  # rows on the same terminal show the progress
    count = None if hidden or STDIN in paths else sum(1 for _ in image_files(paths))
    with click.progressbar(_read(recognizer, paths), length=count, file=sys.stderr, hidden=hidden) as images:
        for name, image, result in images:
            rows.add(name, result)
            if picture and len(explained) < _EXPLAINED and not isinstance(result, DataError):
                explained += _explained(name, image, result, recognizer.class_names)
    if not rows.count:
        places = ", ".join("standard input" if path == STDIN else path for path in paths)
        raise ImageError(f"found no images in {places}. Name image files, or folders that contain some.")
    if picture and explained:
        _draw(explained, picture, rows.count - rows.unreadable)
    rows.finish()
    if rows.unreadable:
        click.get_current_context().exit(1)


def _threads(paths: Sequence[str]) -> int | None:
    """Return 1 for one image, which is read before a second thread could start; None for the default."""
    return 1 if len(paths) == 1 and os.path.isfile(paths[0]) else None  # noqa: PTH113  # never raises


def _explanation(output: Path | None, paths: Sequence[str]) -> Path:
    """Return the path of the picture to draw, checked before any image is read.

    Raises:
        InputError: Its suffix is not that of a picture, or it is one of the images to read.
    """
    picture = output or Path("explanation.png")
    if picture.suffix.lower() not in _PICTURES:
        raise SettingError(f"--output {picture} is not the name of a picture. Valid suffixes: {', '.join(_PICTURES)}.")
    if picture.exists() and any(
        Path(path).name == picture.name and picture.samefile(path)
        for path in image_files(word for word in paths if word != STDIN)
    ):
        raise SettingError(f"--output {picture} is one of the images to read. Choose another name.")
    return picture


def _read(recognizer: Recognizer, paths: Sequence[str]) -> Iterator[tuple[str, str | bytes, Reading | DataError]]:
    """Yield each image with its displayed name and its reading or error."""
    for images in find_images(paths):
        for image, result in recognizer.read_many(images):
            yield STDIN if isinstance(image, bytes) else image, image, result


def _explained(name: str, image: str | bytes, reading: Reading, class_names: tuple[str, ...]) -> list[Explained]:
    from mnist_cnn.reading.ink import stages
    from mnist_cnn.reading.recognizer.explanation import Explained

    try:
        return [Explained.of(name, stages(image), reading, class_names)]
    except DataError:  # the file was removed after it was read
        return []


def _draw(explained: list[Explained], output: Path, readable: int) -> None:
    from mnist_cnn.files import write_whole
    from mnist_cnn.reading.recognizer.explanation import draw

    with write_whole(output) as partial:
        draw(explained).save(partial)
    click.echo(f"Explanation: {output}", err=True)
    if readable > len(explained):
        click.echo(f"NOTE: the picture shows the first {len(explained)} of {readable:,} images.", err=True)
