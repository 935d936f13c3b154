"""`mnist-cnn export`: a run or a .keras file in the formats of other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnist_cnn.cli.data import DATASET, resolve, resolve_for_run
from mnist_cnn.cli.options import (
    MODEL_HELP,
    PATH,
    InWords,
    data_dir_option,
    is_included,
    json_option,
    refuse_options,
    scale_option,
)
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.verb import Verb
from mnist_cnn.config import SHIPPED_MODEL
from mnist_cnn.errors import MnistCnnError, RunFolderError, SettingError
from mnist_cnn.export import MAX_DROP
from mnist_cnn.export.destinations import check_place
from mnist_cnn.export.formats import ALL, FORMATS, Format, find_formats
from mnist_cnn.export.formats.format import ONNX
from mnist_cnn.files import CARD_NAME, EXPORTS_NAME, SHIPPED_NUMBERS, check_writable
from mnist_cnn.models.quiet import native_messages_held_back, start_keras
from mnist_cnn.runs import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnist_cnn.datasets import ResolvedDataset
    from mnist_cnn.export.exporting import Exported
    from mnist_cnn.export.original import Original

_AVAILABLE = "yes"
_NUMBERS_AS = FORMATS["onnx"].name  # the only format in which the network for whole numbers is included


@click.command(cls=Verb, example="mnist-cnn export runs/quick-001 --format onnx,litert-int8")
@click.argument("model", metavar="[MODEL]", required=False, type=PATH, help=MODEL_HELP)
@click.option(
    "--format",
    "formats",
    multiple=True,
    help=f"One of {', '.join(FORMATS)}, {ALL}. Repeat the option or use commas for several (default: onnx).",
)
@click.option("--output", type=PATH, help="Output folder (default: exports, in the run or beside the file).")
@click.option("--dataset", type=DATASET, help="Data set that the model was trained on; a run knows its own.")
@data_dir_option
@scale_option
@click.option(
    "--allow-drop",
    cls=InWords,
    type=click.FloatRange(min=0),
    default=MAX_DROP,
    metavar="POINTS",
    help=f"Accuracy that int8 quantisation may lose, in percentage points, at least 0 (default: {MAX_DROP:g}).",
)
@click.option(
    "--list",
    "show_list",
    is_flag=True,
    help="List the formats, of MODEL if given, and whether this installation can write them.",
)
@json_option
def export(
    model: Path | None,
    formats: tuple[str, ...],
    output: Path | None,
    dataset: str | None,
    data_dir: Path | None,
    scale: float | None,
    allow_drop: float,
    show_list: bool,
    as_json: bool,
) -> None:
    """Convert a network to ONNX, LiteRT, OpenVINO and others.

    Each exported file is run and compared with the original Keras model.
    """
    terminal = Terminal(as_json)
    if show_list:
        _show_formats(terminal, model)
        return
    chosen = find_formats(list(formats) or ["onnx"])
    if model is None:
        raise SettingError(
            f"no model is given. Give a run, a .keras file, or {SHIPPED_MODEL!r} or {SHIPPED_NUMBERS!r} for the "
            "included weights. For the formats see: mnist-cnn export --list"
        )
    if is_included(model, SHIPPED_NUMBERS):
        _export_numbers(chosen, output or Path(EXPORTS_NAME), terminal)
        return
    folder = output or RunFolder(model if model.is_dir() else model.parent).exports
    _check_before_work(chosen, folder, model)
    data = _find_data(model, dataset, data_dir, terminal)
    start_keras()
    from mnist_cnn.export.onnx_graph import check_tools
    from mnist_cnn.export.original import open_original

    check = check_tools if all(ONNX in format_.needs for format_ in chosen) else None  # others can be written anyway
    with terminal.console.status("reading the model and its digits") as status:
        original = open_original(model, data, scale, check)
        done, failed = _export_each(original, chosen, folder, allow_drop, status.update)
    for remark in original.remarks:
        terminal.warn(remark)
    if done:
        _show_exported(done, original, terminal)
        terminal.say(f"Files: {folder}")
    for name, error in failed.items():
        reason = str(error).removeprefix(f"{name}: ")
        terminal.say(f"{name} was not exported: {reason}", style="bold red")
    terminal.finish({"model": str(model), **_record(done, failed, original)})
    if failed:
        click.get_current_context().exit(max(error.exit_code for error in failed.values()))


def _export_numbers(formats: list[Format], folder: Path, terminal: Terminal) -> None:
    """Copy the included network for whole numbers: there is no Keras model to convert it from."""
    if others := [each.name for each in formats if each.name != _NUMBERS_AS]:
        raise SettingError(
            f"{SHIPPED_NUMBERS} cannot be written as {', '.join(others)}: the network for whole numbers is included as "
            f"{_NUMBERS_AS} only. Give --format {_NUMBERS_AS}, or omit it."
        )
    refuse_options(
        ("dataset", "data_dir", "scale", "allow_drop"),
        "Omit it: the network for whole numbers is copied, not converted.",
    )
    from mnist_cnn.export.number_export import export_numbers

    path = export_numbers(folder)
    size = path.stat().st_size
    terminal.say(f"Files: {path} ({size / 1000:,.0f} kB), and {CARD_NAME} beside it, which says how to run it")
    exported = {"format": _NUMBERS_AS, "path": str(path), "bytes": size}
    terminal.finish({"model": SHIPPED_NUMBERS, "exports": [exported], "failed": {}})


def _check_before_work(formats: list[Format], folder: Path, model: Path) -> None:
    """Refuse impossible exports before the model and the data are read.

    Raises:
        InputError: A destination contains something other than an earlier export.
        WriteError: The folder cannot be written.
        MissingExtraError: This installation can write none of the formats.
    """
    check_writable(folder / CARD_NAME)
    missing = [error for format_ in formats if (error := format_.missing())]
    if len(missing) == len(formats):
        raise missing[0]
    for format_ in formats:
        if not format_.missing():  # looking into a place takes the format's own packages
            check_place(format_, folder / format_.file, model)


def _find_data(model: Path, dataset: str | None, data_dir: Path | None, terminal: Terminal) -> ResolvedDataset | None:
    from mnist_cnn.models.persistence import model_file

    run = RunFolder(model)
    if not run.config.exists():
        model_file(model)
        return resolve(dataset, data_dir, terminal) if dataset else None
    if not run.model.exists():
        raise RunFolderError(f"{model} is not finished. Resume it with: {run.resume_command}")
    if dataset:
        raise SettingError(
            f"{model} is a run, which has its own data set. Omit --dataset; use --data-dir to say where its files are."
        )
    return resolve_for_run(run, data_dir, terminal)


def _export_each(
    original: Original, formats: list[Format], folder: Path, allowed_drop: float, show: Callable[[str], None]
) -> tuple[list[Exported], dict[str, MnistCnnError]]:
    from mnist_cnn.export.exporting import export as export_one

    done: list[Exported] = []
    failed: dict[str, MnistCnnError] = {}
    for count, format_ in enumerate(formats, 1):
        show(f"{count}/{len(formats)}: writing and checking {format_.name}")
        with native_messages_held_back():
            try:
                done.append(export_one(original, format_, folder, allowed_drop))
            except MnistCnnError as error:
                failed[format_.name] = error  # continue with the other formats
    return done, failed


def _show_formats(terminal: Terminal, model: Path | None) -> None:
    records = [
        {"format": each.name, "file": each.file, "runtime": each.runtime, "available": _availability(each)}
        for each in FORMATS.values()
    ]
    if is_included(model, SHIPPED_NUMBERS):
        from mnist_cnn.export.number_export import FILE

        records = [{**each, "file": FILE, "available": _AVAILABLE} for each in records if each["format"] == _NUMBERS_AS]
    missing = dict.fromkeys(each["available"] for each in records if each["available"] != _AVAILABLE)
    rows = [[*list(each.values())[:-1], "no" if each["available"] in missing else _AVAILABLE] for each in records]
    terminal.table(["format", "file", "runtime", "available"], rows)
    for remedy in missing:
        terminal.say(f"To make more formats available: {remedy}")
    terminal.finish({"formats": records})


def _availability(format_: Format) -> str:
    missing = format_.missing()
    return _AVAILABLE if missing is None else missing.remedy


def _show_exported(done: list[Exported], original: Original, terminal: Terminal) -> None:
    rows = [
        (
            each.format.name,
            each.format.file,
            f"{each.size / 1000:,.0f}",
            f"{each.seconds:.1f}",
            f"{each.agreement.difference:.1e}",
            None if each.agreement.accuracy is None else f"{each.agreement.accuracy:.2%}",
            None if each.agreement.drop is None else f"{each.agreement.drop:.2f}",
        )
        for each in done
    ]
    terminal.table(
        ["format", "file", "kB", "s", "max\ndiff.", "accuracy", "points\nlost"],  # fits 80 columns
        rows,
        title=f"Compared with the Keras model on {len(original.digits):,} images of {original.digits.name}",
    )
    for each in done:
        if each.description:
            terminal.say(f"{each.format.name}: {each.description}")


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
                "description": each.description,
            }
            for each in done
        ],
        "failed": {name: str(error) for name, error in failed.items()},
        "temperature": original.metadata.temperature,
        "rejection_threshold": original.metadata.rejection_threshold,
        "scaling": original.choice.as_dict(),
        "remarks": list(original.remarks),
    }
