"""Several networks as one, compared with the mean of what each of them answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_cnn.errors import ModelFileError

SMALL: dict[str, dict[str, Any]] = {
    "light": {"filters": (4, 4, 4, 4, 4)},
    "columns": {"vgg": (4, 8), "light": (4, 8, 8)},
    "separable": {"stem": 3, "filters": (4, 4)},
    "vgg": {"filters": (4, 6)},
    "shallow": {"filters": (4, 6), "dense": 8},
    "conv3": {"filters": (4, 6), "dense": 8},
}


def test_an_average_answers_with_the_mean_of_its_members_also_from_a_file(tmp_path: Path) -> None:
    from mnist_cnn.evaluation.layers import split_ensemble
    from mnist_cnn.models.architectures import build_model
    from mnist_cnn.models.averaging import average_models
    from mnist_cnn.models.persistence import open_model, save_model

    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)
    members = [build_model(name, arguments, 10, seed=seed) for seed, (name, arguments) in enumerate(SMALL.items())]
    answers = [np.asarray(member(images)) for member in members]
    save_model(average_models(members), tmp_path / "model.keras")
    opened = open_model(tmp_path / "model.keras")
    np.testing.assert_allclose(np.asarray(opened(images)), np.mean(answers, axis=0), atol=1e-6)
    assert len({layer.name for layer in opened.layers}) == len(opened.layers)
    split = split_ensemble(opened)
    assert split is not None
    for answer, expected in zip(split(images), answers, strict=True):
        np.testing.assert_allclose(np.asarray(answer), expected, atol=1e-6)
    assert split_ensemble(members[0]) is None


def test_networks_with_other_classes_are_not_averaged() -> None:
    from mnist_cnn.models.architectures import build_model
    from mnist_cnn.models.averaging import average_models

    members = [build_model("conv3", SMALL["conv3"], classes) for classes in (10, 4)]
    with pytest.raises(ModelFileError, match=r"they return \(None, 10\), \(None, 4\)"):
        average_models(members)


def test_training_does_not_start_from_an_average() -> None:
    from mnist_cnn.config import ModelConfig
    from mnist_cnn.models.architectures import build_model
    from mnist_cnn.models.averaging import average_models
    from mnist_cnn.training.transfer import adapt_model

    ensemble = average_models([build_model("conv3", SMALL["conv3"], 10, seed=seed) for seed in (0, 1)])
    with pytest.raises(ModelFileError, match="mnist-cnn distill"):
        adapt_model(ensemble, 10, ModelConfig(), seed=0)
