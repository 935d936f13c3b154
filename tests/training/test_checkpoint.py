from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from late import Late
from mnist_cnn.errors import InputError

keras, checkpoint = Late("keras"), Late("mnist_cnn.training.checkpoint")

FILE_NAME = "state.npz"
ROW = {"epoch": 1, "loss": 0.1 + 0.2, "accuracy": 0.5, "seconds": 1.25}


def example() -> Any:
    random = np.random.default_rng(0)
    return checkpoint.TrainingState(
        history=[ROW, {**ROW, "epoch": 2}],
        best_epoch=1,
        best_weights=[random.random((2, 3), dtype=np.float32)],
        last_weights=[random.random((2, 3), dtype=np.float32)],
        variables=[np.float32(0.5) * np.ones(()), np.arange(2, dtype=np.uint32), np.arange(13, dtype=np.int64)],
        is_complete=True,
        patience={"EarlyStopping": {"wait": 1.0, "best": 0.25}},
    )


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    saved = example()
    saved.variables += [np.full(2, index, np.float32) for index in range(12)]  # more than 10: no order by name
    saved.save(tmp_path / FILE_NAME)
    loaded = checkpoint.TrainingState.load(tmp_path / FILE_NAME)
    for name in ("history", "best_epoch", "is_complete", "patience", "epochs_done"):
        assert getattr(loaded, name) == getattr(saved, name), name
    for name in ("best_weights", "last_weights", "variables"):
        for ours, theirs in zip(getattr(loaded, name), getattr(saved, name), strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


def test_no_file_is_the_state_before_the_first_epoch(tmp_path: Path) -> None:
    assert checkpoint.TrainingState.load(tmp_path / "absent") == checkpoint.TrainingState()
    checkpoint.TrainingState().save(tmp_path / FILE_NAME)
    assert checkpoint.TrainingState.load(tmp_path / FILE_NAME) == checkpoint.TrainingState()


class Harmful:
    """Leaves a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


def refused(folder: Path, content: bytes) -> None:
    (folder / FILE_NAME).write_bytes(content)
    with pytest.raises(InputError, match=r"state\.npz is damaged .*cannot be resumed") as caught:
        checkpoint.TrainingState.load(folder / FILE_NAME)
    assert "\n" not in str(caught.value)


def zipped(**entries: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **entries)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole.replace(b'"history"', b'"histori"'),  # the checksum notices it
        lambda whole: b"\x93NUMPY\x01\x00 torn",
        lambda whole: zipped(words=np.frombuffer(b"{", np.uint8)),
        lambda whole: zipped(words=np.frombuffer(b'{"unknown": 1}', np.uint8)),
        lambda whole: zipped(other=np.zeros(1)),
    ],
)
def test_a_damaged_state_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    example().save(tmp_path / FILE_NAME)
    refused(tmp_path, damage((tmp_path / FILE_NAME).read_bytes()))


def test_nothing_in_a_state_is_ever_executed(tmp_path: Path) -> None:
    marker = tmp_path / "code-ran"
    harmful = pickle.dumps(Harmful(marker))
    refused(tmp_path, harmful)
    objects = np.array([Harmful(marker)], dtype=object)
    refused(tmp_path, zipped(words=np.frombuffer(b"{}", np.uint8), variable_0=objects))
    assert not marker.exists()
    pickle.loads(harmful)  # noqa: S301 - the trap must work, or this test shows nothing
    assert marker.exists()


def compiled(dense: int = 3) -> Any:
    keras.utils.set_random_seed(dense)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(dense)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


def step(model: Any) -> float:
    random = np.random.default_rng(0)
    images = random.random((8, 4), dtype=np.float32)
    return float(model.train_on_batch(images, random.integers(0, 2, 8)))


def test_training_continues_from_restored_variables_as_if_nothing_had_happened() -> None:
    model, other = compiled(), compiled()
    for _ in range(3):
        step(model)
    captured = checkpoint.capture_variables(model)
    checkpoint.restore_variables(other, captured)
    # Adam's moments, its step count and dropout's generator all matter from the second step on.
    assert [step(model) for _ in range(3)] == [step(other) for _ in range(3)]
    again = compiled()
    checkpoint.restore_variables(again, captured)  # copies, which `step` has not changed
    for ours, theirs in zip(checkpoint.capture_variables(again), captured, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_variables_of_another_network_are_refused() -> None:
    with pytest.raises(InputError, match="belongs to another network or optimizer"):
        checkpoint.restore_variables(compiled(4), checkpoint.capture_variables(compiled(3)))
    with pytest.raises(InputError, match="belongs to another network or optimizer"):
        checkpoint.restore_variables(compiled(), [])
