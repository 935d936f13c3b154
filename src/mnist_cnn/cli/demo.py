"""`mnist-cnn demo`: read the sample pictures that come with the package, and show how."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import click

from mnist_cnn.cli.options import PATH, json_option
from mnist_cnn.cli.rows import digit_rows
from mnist_cnn.cli.verb import Verb
from mnist_cnn.environment.desktop import has_desktop
from mnist_cnn.errors import SettingError
from mnist_cnn.files import write_whole

_PICTURES, _EXPLANATION = "pictures", "explanation.png"  # in the folder


@click.command(cls=Verb, example="mnist-cnn demo")
@click.option("--output", type=PATH, default=Path("demo"), help="Folder for the pictures (default: demo).")
@click.option("--no-open", is_flag=True, help="Do not open the explanation in a picture viewer.")
@json_option
def demo(output: Path, no_open: bool, as_json: bool) -> None:
    """Read the sample pictures that come with this package.

    A program drew them. One is not a digit and should be rejected. The pictures are copied into a folder, together with
    explanation.png, which shows how each was prepared.
    """
    from mnist_cnn.reading.ink import stages
    from mnist_cnn.reading.recognizer import Recognizer
    from mnist_cnn.reading.recognizer.explanation import Explained, draw
    from mnist_cnn.reading.samples import LABELS, SAMPLES

    recognizer = Recognizer.load()
    pictures, explanation = output / _PICTURES, output / _EXPLANATION
    sources = {pictures / name: SAMPLES / name for name in LABELS}
    readings = {path: recognizer.read(source) for path, source in sources.items()}
    drawn = io.BytesIO()
    draw(
        [
            Explained.of(path.name, stages(sources[path]), each, recognizer.class_names)
            for path, each in readings.items()
        ]
    ).save(drawn, "PNG")
    _write({**{path: source.read_bytes() for path, source in sources.items()}, explanation: drawn.getvalue()})
    rows = digit_rows("json" if as_json else "table", recognizer.class_names)
    for path, reading in readings.items():
        rows.add(str(path), reading)
    rows.finish(explanation=str(explanation))
    if not as_json:
        _show_next(pictures, explanation)
    if not (no_open or as_json) and has_desktop():
        click.launch(str(explanation))


def _write(files: Mapping[Path, bytes]) -> None:
    """Write files that do not exist yet; those of an earlier demo stay as they are.

    Raises:
        SettingError: A file of one of these names has another content; nothing was written.
    """
    missing = [path for path in files if not path.exists()]
    for path in files.keys() - missing:
        if not path.is_file() or path.read_bytes() != files[path]:
            raise SettingError(f"{path} already exists and is not from this demo. Choose another folder with --output.")
    for path in missing:
        with write_whole(path) as partial:
            partial.write_bytes(files[path])


def _show_next(pictures: Path, explanation: Path) -> None:
    from mnist_cnn.environment.installation import run_command
    from mnist_cnn.environment.shell import quote

    program = run_command()
    click.echo(f"\nHow each was read:    {explanation}")
    click.echo(f"Read pictures again:  {program} predict {quote(str(pictures))}")
    click.echo(f"Draw your own digit:  {program} serve --open")
