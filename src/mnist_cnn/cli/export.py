"""`mnist-cnn export`: a run, or a .keras file, in the formats of other runtimes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist_cnn.cli.data import DataDirOption, resolve, resolve_for_run
from mnist_cnn.cli.quiet import native_messages_held_back, start_keras
from mnist_cnn.cli.scale import ScaleOption
from mnist_cnn.cli.terminal import JsonFlag, Terminal
from mnist_cnn.errors import MnistCnnError, ModelFileError, RunFolderError, SettingError
from mnist_cnn.export import MAX_DROP
from mnist_cnn.export.destinations import check_place
from mnist_cnn.export.formats import ALL, FORMATS, Format, find_formats
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    from mnist_cnn.datasets import ResolvedDataset
    from mnist_cnn.export.exporting import Exported
    from mnist_cnn.export.original import Original


def export(
    model: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="A run folder, or a .keras file.", show_default=False)
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help=f"One of {', '.join(FORMATS)}, {ALL}; more by repeating it or with commas.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the files (default: RUN/exports).", show_default=False)
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="For a .keras file: the data set that it was trained on.", show_default=False),
    ] = None,
    data_dir: DataDirOption = None,
    scale: ScaleOption = None,
    allow_drop: Annotated[
        float, typer.Option(min=0, metavar="POINTS", help="Percentage points of accuracy that int8 may cost.")
    ] = MAX_DROP,
    show_list: Annotated[bool, typer.Option("--list", help="Show what this installation can write.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a network as ONNX, LiteRT, SavedModel, OpenVINO or Keras, each checked against the original."""
    terminal = Terminal(as_json)
    if show_list:
        _show_formats(terminal)
        return
    chosen = find_formats(formats or ["onnx"])
    if model is None:
        raise SettingError("no model is named. Give a run folder or a .keras file, or see: mnist-cnn export --list")
    if not model.exists():
        raise ModelFileError(
            f"there is no model {model}. Give a run folder or a .keras file; train one with: mnist-cnn train"
        )
    folder = output or RunFolder(model if model.is_dir() else model.parent).exports
    _check_before_work(chosen, folder, model)
    data = _find_data(model, dataset, data_dir, terminal)
    start_keras()
    from mnist_cnn.export.original import open_original

    with _progress(terminal, len(chosen)) as show:
        show("reading the model and its digits")
        original = open_original(model, data, scale)
        done, failed = _export_each(original, chosen, folder, allow_drop, show)
    for remark in original.remarks:
        terminal.warn(remark)
    if done:
        _show_exported(done, original, terminal)
        terminal.say(f"Files: {folder}")
    for name, error in failed.items():
        terminal.say(f"{name} was not exported. {error}", style="bold red")
    terminal.finish({"model": str(model), **_record(done, failed, original)})
    if failed:
        raise typer.Exit(max(error.exit_code for error in failed.values()))


def _check_before_work(formats: list[Format], folder: Path, model: Path) -> None:
    """Refuse what cannot come to a good end, before model and data are read.

    Raises:
        InputError: A place is taken by something else than an earlier export.
        MissingExtraError: None of the formats can be written by this installation.
    """
    missing = [error for format_ in formats if (error := format_.missing())]
    if len(missing) == len(formats):
        raise missing[0]
    for format_ in formats:
        if not format_.missing():  # looking into a place takes the format's own packages
            check_place(format_, folder / format_.file, model)


def _find_data(model: Path, dataset: str | None, data_dir: Path | None, terminal: Terminal) -> ResolvedDataset | None:
    run = RunFolder(model)
    if not run.config.exists():
        return resolve(dataset, data_dir, terminal) if dataset else None
    if not run.model.exists():
        raise RunFolderError(f"{model} is not finished. Go on with: mnist-cnn train --resume {model}")
    if dataset:
        raise SettingError(
            f"{model} is a run and brings its own data set. Leave --dataset out; --data-dir says where its files are."
        )
    return resolve_for_run(run, data_dir, terminal)


def _export_each(
    original: Original, formats: list[Format], folder: Path, allowed_drop: float, show: Any
) -> tuple[list[Exported], dict[str, MnistCnnError]]:
    from mnist_cnn.export.exporting import export as export_one

    done: list[Exported] = []
    failed: dict[str, MnistCnnError] = {}
    for format_ in formats:
        show(f"writing and checking {format_.name}")
        with native_messages_held_back():
            try:
                done.append(export_one(original, format_, folder, allowed_drop))
            except MnistCnnError as error:
                failed[format_.name] = error  # the other formats do not depend on it
    return done, failed


@contextmanager
def _progress(terminal: Terminal, total: int) -> Iterator[Any]:
    """Give a function that says what is being done and moves the bar by one."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    shown = terminal.console.is_terminal
    with Progress(*columns, console=terminal.console, transient=True, disable=not shown) as bar:
        task = bar.add_task("", total=total, completed=-1)
        yield lambda words: bar.update(task, description=words, advance=1)


def _show_formats(terminal: Terminal) -> None:
    rows = [(each.name, each.file, each.runtime, _availability(each)) for each in FORMATS.values()]
    terminal.table(["format", "file", "read by", "available"], rows)
    keys = ("format", "file", "runtime", "available")
    terminal.finish({"formats": [dict(zip(keys, row, strict=True)) for row in rows]})


def _availability(format_: Format) -> str:
    missing = format_.missing()
    return "yes" if missing is None else missing.remedy


def _show_exported(done: list[Exported], original: Original, terminal: Terminal) -> None:
    terminal.table(
        ["format", "file", "kB", "seconds", "max diff.", "accuracy", "points lost"],
        [_row(each) for each in done],
        title=f"Compared with the Keras model on {len(original.digits):,} images of {original.digits.name}",
    )


def _row(exported: Exported) -> list[Any]:
    agreement = exported.agreement
    return [
        exported.format.name,
        exported.format.file,
        f"{exported.size / 1000:,.0f}",
        f"{exported.seconds:.1f}",
        f"{agreement.difference:.1e}",
        None if agreement.accuracy is None else f"{agreement.accuracy:.2%}",
        None if agreement.drop is None else f"{agreement.drop:.2f}",
    ]


def _record(done: list[Exported], failed: dict[str, MnistCnnError], original: Original) -> dict[str, Any]:
    return {
        "exports": [
            {
                "format": each.format.name,
                "path": str(each.path),
                "bytes": each.size,
                "seconds": each.seconds,
                "max_difference": each.agreement.difference,
                "accuracy": each.agreement.accuracy,
                "drop_points": each.agreement.drop,
            }
            for each in done
        ],
        "failed": {name: str(error) for name, error in failed.items()},
        "temperature": original.metadata.temperature,
        "rejection_threshold": original.metadata.rejection_threshold,
        "scaling": original.choice.as_dict(),
        "remarks": list(original.remarks),
    }
