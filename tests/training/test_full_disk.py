"""What a training run does where a file cannot grow any more: the system's own limit stands in for a full disk."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mnist_cnn.errors import MnistCnnError
from mnist_cnn.models.architectures import build_model
from mnist_cnn.models.persistence import save_legacy_h5, save_model, save_weights
from mnist_cnn.training.checkpoint import TrainingState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

resource = pytest.importorskip("resource", reason="FULL DISK NOT TESTED: this system has no limit on the size of files")


@contextlib.contextmanager
def full_disk(left: int) -> Iterator[None]:
    """Let no file grow beyond `left` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def save_state(path: Path) -> None:
    TrainingState(variables=[np.zeros(100_000)]).save(path)


def save_network(path: Path) -> None:
    save_model(build_model("batchnorm", {}, 10), path)


def save_legacy(path: Path) -> None:
    save_legacy_h5(build_model("batchnorm", {}, 10), path)


def save_its_weights(path: Path) -> None:
    save_weights(path.parents[1] / "whole.keras", path)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("state.npz", save_state),
        ("model.keras", save_network),
        ("model.h5", save_legacy),
        ("model.weights.h5", save_its_weights),
    ],
)
@pytest.mark.parametrize("left", [0, 4096, 200_000])
def test_what_was_there_stays_and_nothing_is_left_beside_it(
    tmp_path: Path, name: str, save: Callable[[Path], None], left: int
) -> None:
    save_network(tmp_path / "whole.keras")
    path = tmp_path / "run" / name
    path.parent.mkdir()
    path.write_bytes(b"old")
    with full_disk(left), pytest.raises(MnistCnnError, match=name) as caught:
        save(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
