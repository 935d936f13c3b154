from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from late import Late
from mnist_cnn.errors import SettingError
from mnist_cnn.runs import RunFolder
from mnist_cnn.training.composed_pictures import ComposedPictures, compose
from training.tiny import digits, tiny_config, train_tiny

mixing, trainer = (Late(f"mnist_cnn.training.{name}") for name in ("composed_batches", "trainer"))

SHARE = {"training.composed": 0.4, "training.outliers": 0.2, "training.loss": "one-hot"}


@pytest.fixture(scope="module")
def few() -> ComposedPictures:
    return compose(digits(), 12, 8, seed=3, workers=1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, few: ComposedPictures) -> None:
    """Let the pictures of any run be the same few."""
    monkeypatch.setattr("mnist_cnn.training.composed_batches.compose", lambda *_, **__: few)


def test_pictures_have_the_labels_in_turn_and_their_number(few: ComposedPictures) -> None:
    assert few.images.shape == (12, 28, 28)
    assert few.outliers.shape == (8, 28, 28)
    assert few.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert few.images.any(axis=(1, 2)).all()
    assert few.outliers.any(axis=(1, 2)).all()


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(few: ComposedPictures) -> None:
    again = compose(digits(), 12, 8, seed=3, workers=2)
    np.testing.assert_array_equal(again.images, few.images)
    np.testing.assert_array_equal(again.outliers, few.outliers)


def test_some_are_real_digits_with_marks_and_the_others_stay_as_they_were(few: ComposedPictures) -> None:
    marked = compose(digits(), 12, 8, seed=3, workers=1, marked=1.0)
    assert marked.labels.tolist() == few.labels.tolist()
    np.testing.assert_array_equal(marked.outliers, few.outliers)
    real = digits().images.reshape(len(digits()), -1)

    def likeness(pictures: ComposedPictures) -> float:
        """Return the median correlation with the digit that is most alike."""
        flat = pictures.images.reshape(len(pictures.images), -1)
        return float(np.median([np.corrcoef(image, real)[0, 1:].max() for image in flat]))

    assert likeness(marked) > 0.85 > likeness(few)


@pytest.mark.parametrize(("marks", "expected"), [(0.0, 0.0), (0.3, 0.4)])
def test_they_are_marked_only_if_the_settings_ask_for_marks(
    marks: float, expected: float, few: ComposedPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def composing(*_: object, marked: float) -> ComposedPictures:
        asked.append(marked)
        return few

    monkeypatch.setattr("mnist_cnn.training.composed_batches.compose", composing)
    config = tiny_config({**SHARE, "augmentation.marks": marks})
    batches, _ = trainer.prepare_data(config, digits(), None)
    mixing.mix_in_composed(batches, config, digits())
    assert asked == [expected]


def test_a_file_keeps_the_pictures(tmp_path: Path, few: ComposedPictures) -> None:
    few.save(tmp_path / "composed.npz")
    again = ComposedPictures.load(tmp_path / "composed.npz")
    for name in ("images", "labels", "outliers"):
        np.testing.assert_array_equal(getattr(again, name), getattr(few, name))


@pytest.mark.usefixtures("small")
def test_composed_pictures_have_their_share_of_an_epoch(few: ComposedPictures) -> None:
    config = tiny_config({**SHARE, "training.outliers": 0.0})
    batches, _ = trainer.prepare_data(config, digits(), None)
    mixed = mixing.mix_in_composed(batches, config, digits())
    known = {image.tobytes(): label for image, label in zip(few.images, few.labels.tolist(), strict=True)}
    seen = [
        (image[..., 0].tobytes(), int(target.argmax()))
        for images, targets in mixed.epoch(0)
        for image, target in zip(images, targets, strict=True)
    ]
    labels = [(known[image], label) for image, label in seen if image in known]
    assert 0.25 < len(labels) / len(seen) < 0.55
    assert all(expected == label for expected, label in labels)


@pytest.mark.usefixtures("small")
def test_half_of_the_outliers_are_prepared_ones(few: ComposedPictures) -> None:
    config = tiny_config({**SHARE, "training.outliers": 0.5})
    batches, _ = trainer.prepare_data(config, digits(), None)
    mixed = mixing.mix_in_composed(batches, config, digits())
    known = {image.tobytes() for image in few.outliers}
    outliers = [
        image[..., 0].tobytes()
        for images, targets in mixed.epoch(0)
        for image, target in zip(images, targets, strict=True)
        if target.max() < 0.2
    ]
    assert 0.4 < np.mean([image in known for image in outliers]) < 0.6


@pytest.mark.usefixtures("small")
def test_statistics_are_measured_on_both_kinds_of_digits(few: ComposedPictures) -> None:
    config = tiny_config(SHARE)
    batches, _ = trainer.prepare_data(config, digits(), None)
    mixed = mixing.mix_in_composed(batches, config, digits())
    assert len(batches.undistorted) == len(batches.images)
    assert len(mixed.undistorted) == len(batches.images) + len(few.images)


def test_without_a_share_nothing_is_composed() -> None:
    batches, _ = trainer.prepare_data(tiny_config(), digits(), None)
    assert mixing.mix_in_composed(batches, tiny_config(), digits()) is batches


@pytest.mark.usefixtures("small")
def test_a_run_notes_that_it_composes_and_cleans_up(tmp_path: Path) -> None:
    done = train_tiny(tmp_path, SHARE)
    assert "composing 384 pictures of digits and 192 of other things" in done.heard.notices[0]
    assert done.run.finished
    assert not done.run.composed.exists()


@pytest.mark.usefixtures("small")
def test_a_resumed_run_uses_the_pictures_of_its_first_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: ComposedPictures
) -> None:
    run = RunFolder(tmp_path)
    few.save(run.composed)
    monkeypatch.setattr("mnist_cnn.training.composed_batches.compose", lambda *_: pytest.fail("composed again"))
    batches, _ = trainer.prepare_data(tiny_config(SHARE), digits(), None)
    mixed = mixing.mix_in_composed(batches, tiny_config(SHARE), digits(), run.composed)
    np.testing.assert_array_equal(mixed.composed.images, few.images)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("place", [None, 200, 2000])
def test_a_damaged_file_of_pictures_is_composed_again(tmp_path: Path, few: ComposedPictures, place: int | None) -> None:
    file = tmp_path / "composed.npz"
    few.save(file)
    content = file.read_bytes()
    file.write_bytes(content[:-100] if place is None else content[:place] + b"x" * 20 + content[place + 20 :])
    batches, _ = trainer.prepare_data(tiny_config(SHARE), digits(), None)
    notices: list[str] = []
    mixed = mixing.mix_in_composed(batches, tiny_config(SHARE), digits(), file, notices.append)
    assert notices[0] == f"{file} is damaged, so its pictures are composed again"
    np.testing.assert_array_equal(ComposedPictures.load(file).images, mixed.composed.images)


def test_other_classes_cannot_be_composed() -> None:
    letters = replace(digits(), class_names=tuple("abcdefghij"))
    with pytest.raises(
        SettingError, match=r"training\.composed = 0\.4 draws the digits 0 to 9, but .* has the classes a"
    ):
        trainer.prepare_data(tiny_config(SHARE), letters, None)
