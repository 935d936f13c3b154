from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mnist_cnn.config import AugmentationConfig
from mnist_cnn.errors import InputError
from mnist_cnn.model_files import save_model
from mnist_cnn.models import build_model
from mnist_cnn.runs import create_run
from mnist_cnn.training.batches import Batches
from mnist_cnn.training.objective import encode_labels
from mnist_cnn.training.teacher import open_teacher
from mnist_cnn.training.train import train
from training.tiny import Recorder, digits, tiny_config

SMALL = {"filters": [4, 8], "dense": 16}


@pytest.fixture
def networks(tmp_path: Path) -> list[str]:
    """Two untrained networks that do not agree."""
    for seed in (1, 2):
        save_model(build_model("conv3", SMALL, 10, seed=seed), tmp_path / f"{seed}.keras")
    return [str(tmp_path / f"{seed}.keras") for seed in (1, 2)]


def batches(**settings: object) -> Batches:
    targets = encode_labels(digits().labels, 10, "one-hot")
    return Batches(digits().images, targets, 300, AugmentationConfig(), 0, **settings)  # type: ignore[arg-type]


def half_sure(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.full((len(images), 10), 0.1, np.float32)


def test_teachers_answer_with_their_mean(networks: list[str]) -> None:
    images = digits().images[:5, ..., np.newaxis]
    apart = [open_teacher([path], 10) for path in networks]
    together = open_teacher(networks, 10)
    assert together
    first, second = (teacher(images) for teacher in apart if teacher)
    assert not np.allclose(first, second, atol=1e-3)
    np.testing.assert_allclose(together(images), (first + second) / 2, atol=1e-5)


def test_no_teacher_no_answer() -> None:
    assert open_teacher([], 10) is None


def test_a_teacher_of_other_classes_is_refused(networks: list[str]) -> None:
    with pytest.raises(InputError, match="10 classes apart, the data have 7"):
        open_teacher(networks, 7)


def test_the_target_is_the_label_and_the_teachers_answer_in_the_given_proportion() -> None:
    (_, plain), (_, taught) = (
        next(each.epoch(0)) for each in (batches(), batches(teacher=half_sure, teacher_weight=0.4))
    )
    np.testing.assert_allclose(taught, 0.6 * plain + 0.4 * 0.1, atol=1e-6)


def test_strangers_replace_their_share_and_belong_to_every_class_alike() -> None:
    images, targets = next(batches(strangers=0.3, teacher=half_sure, teacher_weight=0.5).epoch(0))
    strange = np.isclose(targets.max(axis=1), 0.1)
    assert 0.2 < strange.mean() < 0.4
    originals = {image.tobytes() for image in digits().images}
    assert not any(image.tobytes() in originals for image in images[strange])
    assert all(image.tobytes() in originals for image in images[~strange])


def test_strangers_leave_the_data_set_as_it_was() -> None:
    before = digits().images.copy()
    next(batches(strangers=0.5).epoch(0))
    np.testing.assert_array_equal(before, digits().images)


@pytest.mark.parametrize("setting", [{"training.strangers": 0.1}, {"training.teachers": ["a.keras"]}])
def test_a_single_label_cannot_say_it(setting: dict[str, object]) -> None:
    with pytest.raises(InputError, match="one-hot"):
        tiny_config(setting)


def test_a_student_learns_from_its_teacher_and_from_strangers(tmp_path: Path, networks: list[str]) -> None:
    teacher = create_run(tmp_path, "teacher")
    train(tiny_config({"training.epochs": 4}), digits(), teacher)
    settings = {
        "training.loss": "one-hot",
        "training.strangers": 0.2,
        "training.teachers": [str(teacher.root)],
        "training.epochs": 4,
    }
    recorder = Recorder()
    run = create_run(tmp_path, "student")
    train(tiny_config(settings), digits(), run, listener=recorder)
    history = run.read_json(run.history_json)
    assert history[-1]["val_accuracy"] > 0.5
