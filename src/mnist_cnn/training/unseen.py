"""A run may hold out only images that the weights it starts from, and its teacher, have never seen."""

from __future__ import annotations

from pathlib import Path

from mnist_cnn.config import SHIPPED_CHECKSUM, SHIPPED_MODEL, SHIPPED_ON, Config, DataConfig, load_recipe
from mnist_cnn.datasets.dataset import Dataset
from mnist_cnn.errors import SettingError
from mnist_cnn.models.persistence import MODEL_SUFFIXES
from mnist_cnn.runs import RunFolder


def check_held_out(config: Config, dataset: Dataset) -> None:
    """Check that a run holds out no images on which the weights it starts from, or its teacher, were trained.

    Otherwise validation, and the temperature and threshold fitted on it, would measure memory instead of recognition.

    Args:
        config: Of the run that is about to start.
        dataset: The training split.

    Raises:
        SettingError: The weights were trained on the same data set with other images held out.
    """
    for source in filter(None, (config.model.init_from, config.distillation.teacher)):
        _check_split(source, config.data, dataset)


def _check_split(source: str, wanted: DataConfig, dataset: Dataset) -> None:
    known = earlier_split(source, dataset)
    if known is None or not wanted.validation or _split(known) == _split(wanted):
        return
    start = f"the weights of {source!r} were trained on"
    if not known.validation:
        raise SettingError(
            f"{start} all training images of {dataset.name}, so none can be held out to validate this run. "
            "Use --validation 0."
        )
    options = [f"--validation {known.validation:g}"]
    options += [
        f"--set data.{key}={getattr(known, key)}"
        for key in ("split_seed", "per_class")
        if getattr(known, key) != getattr(wanted, key)
    ]
    raise SettingError(
        f"{start} the training images of {dataset.name} except for a share of {known.validation:g}. Only these unseen "
        f"images can be held out to validate this run. Use {' '.join(options)}, or --validation 0."
    )


def earlier_split(start: str, dataset: Dataset) -> DataConfig | None:
    """Return how the weights' own training, or that of the weights before them, divided this data set.

    Args:
        start: A run, a model file in one, or "digits".
        dataset: The training split.

    Returns:
        None if they were trained on other data, or if it is not known.
    """
    checksum = dataset.checksum()
    while start:
        if start == SHIPPED_MODEL:
            return SHIPPED_ON if checksum == SHIPPED_CHECKSUM else None
        path = Path(start)
        run = RunFolder(path.parent if path.suffix in MODEL_SUFFIXES else path)
        if not (run.config.exists() and run.environment.exists()):
            return None
        config = load_recipe(str(run.config))
        if run.read_json(run.environment)["data"]["sha256"] == checksum:
            return config.data
        start = config.model.init_from
    return None


def _split(data: DataConfig) -> tuple[float, int, int]:
    return data.validation, data.split_seed, data.per_class
