"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from click.types import OptionHelpExtra

from mnist_cnn.errors import SettingError
from mnist_cnn.files import EXPORTS_NAME, MODEL_NAME, ONNX_NAME, SHIPPED_DIGITS, SHIPPED_NUMBERS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

MODEL_HELP = "A run folder, a .keras file, or the included weights: digits, or numbers for whole numbers."


class NamedPath(click.Path):
    """A path that is not the empty text, which `pathlib.Path` takes for the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse the empty text: a variable of the shell that is not set, as a rule."""
        if value == "":
            remedy = "Give a path." if isinstance(param, click.Argument) else "Give a path, or omit the option."
            self.fail(f"the path is empty. {remedy}", param, ctx)
        return super().convert(value, param, ctx)


PATH = NamedPath(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print only one JSON object to standard output.")
data_dir_option = click.option("--data-dir", type=PATH, help="Search this folder first for the files of the data set.")


class NameOrPath(click.ParamType[str]):
    """A name or a path, as text. The Tab key completes names, and paths if no name fits."""

    name = "text"

    def __init__(self, find_names: Callable[[], Iterable[str]]) -> None:
        self._find_names = find_names

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse the empty text, as `NamedPath` does."""
        if not value:
            self.fail("it is empty. Give a name or a path, or omit the option.", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin with a word; if there is none, the shell looks for files."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name) for name in self._find_names() if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]


class InWords(click.Option):
    """An option whose help text names the valid range in words, without Click's formula."""

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Return the additions in brackets without the range."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


class RayAddress(click.ParamType[str]):
    """The address of a Ray cluster."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is not an address, such as a path that follows the option."""
        from mnist_cnn.cluster.connection import check_address

        return check_address(value)


def ray_option(verb: str, needs: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option `--ray [ADDRESS]`.

    Args:
        verb: What the cluster does, as the first word of the help text.
        needs: A sentence that ends the help text.
    """
    return click.option(
        "--ray",
        is_flag=False,
        flag_value="",
        type=RayAddress(),
        metavar="[ADDRESS]",
        help=f"{verb} on a Ray cluster (auto, ray://HOST:10001 or HOST:6379), or on a local Ray (default: RAY_ADDRESS, "
        f"otherwise local). {needs}",
    )


def set_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the repeatable option `--set KEY=VALUE` with this help text; its parameter is `settings`."""
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=f"{text} Can be repeated.")


def is_included(model: Path | None, name: str) -> bool:
    """Return whether a model is the included one of this name, and not a file or a folder with a model of that name."""
    places = (Path(name), *(Path(name, file) for file in (MODEL_NAME, ONNX_NAME, f"{EXPORTS_NAME}/{ONNX_NAME}")))
    return model == Path(name) and not any(map(os.path.isfile, places))


def digit_model(model: Path | None) -> Path | None:
    """Return the file of a network for single digits; None for the included weights.

    Raises:
        SettingError: These are the included weights for whole numbers.
    """
    _refuse_included(model, SHIPPED_NUMBERS, "whole numbers", "read")
    return None if is_included(model, SHIPPED_DIGITS) else model


def number_model(model: Path | None) -> Path | None:
    """Return the file of a network for whole numbers; None for the included weights.

    Raises:
        SettingError: These are the included weights for single digits.
    """
    _refuse_included(model, SHIPPED_DIGITS, "single digits", "predict")
    return None if is_included(model, SHIPPED_NUMBERS) else model


def _refuse_included(model: Path | None, name: str, what: str, command: str) -> None:
    if is_included(model, name):
        raise SettingError(f"`{name}` stands for the included weights for {what}. Use: mnist-cnn {command}")


def refuse_options(names: Iterable[str], why: str) -> None:
    """Refuse options of the current command that make no sense with its other arguments.

    Args:
        names: Of their parameters.
        why: A sentence that ends the message.

    Raises:
        SettingError: The user gave one of them.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        is_given = context.get_parameter_source(parameter.name or "") is not ParameterSource.DEFAULT
        if parameter.name in names and is_given:
            raise SettingError(f"{parameter.opts[0]} is not possible here. {why}")


scale_option = click.option(
    "--scale",
    cls=InWords,
    type=click.FloatRange(min=0, min_open=True),
    metavar="FLOAT",
    help="Only for third-party models: factor above 0 that converts grey levels 0 … 255 to the model's input "
    "(default: from the model's metadata, otherwise the one that reads known digits best).",
)
