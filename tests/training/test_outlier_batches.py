from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from late import Late
from mnist_cnn.augmentation.outliers import draw_outliers
from mnist_cnn.config import AugmentationConfig
from mnist_cnn.errors import InputError
from mnist_cnn.runs import create_run
from training.tiny import digits, tiny_config

stream, loss, trainer = (Late(f"mnist_cnn.training.{name}") for name in ("batches", "loss", "trainer"))


def batches(outliers: float) -> Any:
    targets = loss.encode_labels(digits().labels, 10, "one-hot")
    return stream.Batches(digits().images, targets, 300, AugmentationConfig(), 0, outliers)


def test_outliers_replace_their_share_and_belong_to_every_class_alike() -> None:
    source, before = batches(0.3), digits().images.copy()
    known = source.targets.copy()
    images, targets = next(source.epoch(0))
    np.testing.assert_array_equal(digits().images, before)  # the data set stays as it was
    np.testing.assert_array_equal(source.targets, known)
    is_outlier = np.isclose(targets.max(axis=1), 0.1)
    assert 0.2 < is_outlier.mean() < 0.4
    originals = {image.tobytes() for image in digits().images}
    assert not any(image.tobytes() in originals for image in images[is_outlier])
    assert all(image.tobytes() in originals for image in images[~is_outlier])
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


def test_without_outliers_an_epoch_is_what_it_was() -> None:
    images, _ = next(batches(0.0).epoch(3))
    order = np.random.default_rng([0, 3]).permutation(300)
    np.testing.assert_array_equal(images[..., 0], digits().images[order])


def test_a_single_label_cannot_belong_to_every_class() -> None:
    with pytest.raises(InputError, match=r"outliers = 0\.1 needs one-hot"):
        tiny_config({"training.outliers": 0.1})


def test_outliers_do_not_count_as_misread_digits() -> None:
    (metric,) = loss.build_metrics(tiny_config({"training.loss": "one-hot", "training.outliers": 0.1}))
    targets = np.array([[1, 0], [0, 1], [0.5, 0.5], [0.5, 0.5]], np.float32)
    metric.update_state(targets, np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]], np.float32))
    assert float(metric.result()) == 0.5
    assert loss.build_metrics(tiny_config()) == ["accuracy"]


@pytest.mark.slow
def test_a_network_that_met_outliers_is_less_sure_of_others(tmp_path: Path) -> None:
    others = draw_outliers(200, digits().images, np.random.default_rng(99))[..., np.newaxis]
    confidence = {}
    for share in (0.0, 0.3):
        settings = {"training.loss": "one-hot", "training.outliers": share, "training.epochs": 6}
        result = trainer.train(tiny_config(settings), digits(), create_run(tmp_path, "run"))
        confidence[share] = result.model.predict(others.astype(np.float32), verbose=0).max(axis=1).mean()
    assert confidence[0.3] < confidence[0.0] - 0.1
