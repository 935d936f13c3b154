"""Recognise handwritten digits with convolutional networks: data, training, evaluation, report, reading.

Importing this package is cheap: what needs Keras, Matplotlib or SciPy is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mnist_cnn.errors import (
    DataError,
    DatasetUnavailableError,
    DivergedError,
    ImageError,
    InputError,
    MissingExtraError,
    MnistCnnError,
    ModelFileError,
    RunFolderError,
    SettingError,
    WriteError,
    requires_extra,
)

if TYPE_CHECKING:
    from mnist_cnn.augmentation.distortion import augment
    from mnist_cnn.classifier import DigitClassifier
    from mnist_cnn.config import Config, load_recipe, override, recipe_names
    from mnist_cnn.datasets import Dataset, list_datasets, load_dataset, split_validation
    from mnist_cnn.evaluation.predictions import Predictions, evaluate, predict
    from mnist_cnn.evaluation.report import write_report
    from mnist_cnn.models.architectures import build_model
    from mnist_cnn.models.persistence import open_model
    from mnist_cnn.reading.numbers import NumberReader, NumberReading
    from mnist_cnn.reading.recognizer import Reading, Recognizer
    from mnist_cnn.runs import RunFolder, create_run, open_run
    from mnist_cnn.training.listener import Listener
    from mnist_cnn.training.trainer import TrainingResult, train

_HOMES = {
    "augmentation.distortion": ["augment"],
    "classifier": ["DigitClassifier"],
    "config": ["Config", "load_recipe", "override", "recipe_names"],
    "datasets": ["Dataset", "list_datasets", "load_dataset", "split_validation"],
    "evaluation.predictions": ["Predictions", "evaluate", "predict"],
    "models.persistence": ["open_model"],
    "models.architectures": ["build_model"],
    "reading.numbers": ["NumberReader", "NumberReading"],
    "reading.recognizer": ["Reading", "Recognizer"],
    "evaluation.report": ["write_report"],
    "runs": ["RunFolder", "create_run", "open_run"],
    "training.listener": ["Listener"],
    "training.trainer": ["TrainingResult", "train"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Config",
    "DataError",
    "Dataset",
    "DatasetUnavailableError",
    "DigitClassifier",
    "DivergedError",
    "ImageError",
    "InputError",
    "Listener",
    "MissingExtraError",
    "MnistCnnError",
    "ModelFileError",
    "NumberReader",
    "NumberReading",
    "Predictions",
    "Reading",
    "Recognizer",
    "RunFolder",
    "RunFolderError",
    "SettingError",
    "TrainingResult",
    "WriteError",
    "augment",
    "build_model",
    "create_run",
    "evaluate",
    "list_datasets",
    "load_dataset",
    "load_recipe",
    "open_model",
    "open_run",
    "override",
    "predict",
    "recipe_names",
    "split_validation",
    "train",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mnist_cnn' has no attribute {name!r}")
    with requires_extra("train"):
        return getattr(importlib.import_module(f"mnist_cnn.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
