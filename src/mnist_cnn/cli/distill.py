"""`mnist-cnn distill`: train one network on the answers of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mnist_cnn.cli.data import DATASET, recorded_folder
from mnist_cnn.cli.options import PATH, NameOrPath, data_dir_option, json_option, set_option
from mnist_cnn.cli.terminal import Terminal
from mnist_cnn.cli.train import configure, train_in
from mnist_cnn.cli.verb import Verb
from mnist_cnn.config import (
    DEFAULT_RECIPE,
    SHIPPED_MODEL,
    SHIPPED_ON,
    DistillationConfig,
    load_recipe,
    override,
    parse_setting,
    recipe_names,
)
from mnist_cnn.runs import RunFolder, create_run

_DEFAULTS = DistillationConfig()
_SETTINGS = {
    "dataset": "data.dataset",
    "epochs": "training.epochs",
    "seed": "training.seed",
    "temperature": "distillation.temperature",
    "weight": "distillation.weight",
}


@click.command(cls=Verb, example="mnist-cnn distill runs/ensemble-001 --recipe quick")
@click.argument(
    "teacher", type=PATH, help="The network to learn from: an ensemble, a run, a .keras file, or the included digits."
)
@click.option(
    "--recipe",
    type=NameOrPath(recipe_names),
    default=DEFAULT_RECIPE,
    help=f"Recipe of the new network: a name or a TOML file (default: {DEFAULT_RECIPE}).",
)
@click.option("--dataset", type=DATASET, help="Name from mnist-cnn datasets, or a path (default: the teacher's own).")
@data_dir_option
@click.option(
    "--temperature",
    type=float,
    help=f"How much both answers are softened before they are compared, 1 to 100 (default: {_DEFAULTS.temperature:g}).",
)
@click.option(
    "--weight",
    type=float,
    help=f"Share of the teacher in the loss, above 0 to 1; the labels have the rest (default: {_DEFAULTS.weight:g}).",
)
@click.option("--epochs", type=int, help="Passes through the training images, at least 1 (default: the recipe's).")
@click.option("--seed", type=int, help="Seed of weights, batches and distortions, at least 0 (default: 0).")
@set_option("Set any other setting, such as optimizer.ema=0.")
@click.option("--name", help="Name of the run (default: RECIPE-distilled).")
@click.option("--runs-dir", type=PATH, default=Path("runs"), help="Parent folder of runs (default: runs).")
@json_option
def distill(
    teacher: Path,
    recipe: str,
    data_dir: Path | None,
    settings: tuple[str, ...],
    name: str | None,
    runs_dir: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Train one network on the answers of another, such as an ensemble.

    For every training image, distorted as the new network sees it, the teacher gives its probabilities, and the new
    network learns these and the label (Hinton, Vinyals & Dean 2015). The result is an ordinary run, which
    mnist-cnn train --resume continues after an interruption.
    """
    terminal = Terminal(as_json)
    source = RunFolder(teacher)
    if data_dir is None and options["dataset"] is None:
        data_dir = recorded_folder(source)
    chosen = {setting: options[option] for option, setting in _SETTINGS.items() if options[option] is not None}
    chosen |= dict(parse_setting(text) for text in settings)
    is_included = teacher == Path(SHIPPED_MODEL) and not teacher.exists()
    changes: dict[str, Any] = {
        **_data_of(source, is_included),
        "training.loss": "one-hot",
        "distillation.teacher": SHIPPED_MODEL if is_included else str(teacher.resolve()),
        **chosen,
    }
    _check_teacher(teacher)
    config, data, default_name = configure(recipe, changes, data_dir, terminal)
    config = override(config, {"title": f"{config.title or recipe}; distilled from {teacher.name}"})
    train_in(create_run(runs_dir, name or f"{default_name}-distilled"), config, data, terminal, {})


def _check_teacher(teacher: Path) -> None:
    """Check that there is one before a data set is downloaded.

    Raises:
        ModelFileError: There is none.
    """
    from mnist_cnn.models.persistence import model_file

    model_file(teacher)


def _data_of(source: RunFolder, is_included: bool) -> dict[str, Any]:
    """Return the settings of the teacher's data, so that the new network holds out the same images."""
    if not is_included and not source.config.exists():
        return {}
    data = SHIPPED_ON if is_included else load_recipe(str(source.config)).data
    return {f"data.{key}": getattr(data, key) for key in ("dataset", "validation", "split_seed", "per_class")}
