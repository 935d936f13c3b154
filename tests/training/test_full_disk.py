"""What a run does when a file cannot grow: the system's limit on file sizes stands in for a full disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from late import Late
from mnist_cnn.errors import MnistCnnError

architectures, persistence = Late("mnist_cnn.models.architectures"), Late("mnist_cnn.models.persistence")
checkpoint = Late("mnist_cnn.training.checkpoint")

pytestmark = pytest.mark.slow
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
    checkpoint.TrainingState(variables=[np.zeros(100_000)]).save(path)


def save_network(path: Path) -> None:
    persistence.save_model(architectures.build_model("batchnorm", {}, 10), path)


def save_legacy(path: Path) -> None:
    persistence.save_legacy_h5(architectures.build_model("batchnorm", {}, 10), path)


def save_its_weights(path: Path) -> None:
    persistence.save_weights(path.parents[1] / "whole.keras", path)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("state.npz", save_state),
        ("model.keras", save_network),
        ("model.h5", save_legacy),
        ("model.weights.h5", save_its_weights),
    ],
)
@pytest.mark.parametrize("left", [0, 200_000])
def test_the_old_file_stays_and_nothing_is_left_beside_it(
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
