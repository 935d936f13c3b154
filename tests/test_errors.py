"""The tree of errors: a caller can catch each cause, and each has its exit code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mnist_cnn
from mnist_cnn import errors

_EXIT_CODES = {
    "MnistCnnError": 1,
    "DatasetUnavailableError": 1,
    "DivergedError": 1,
    "WriteError": 1,
    "InputError": 2,
    "DataError": 2,
    "ImageError": 2,
    "MissingExtraError": 2,
    "ModelFileError": 2,
    "RunFolderError": 2,
    "SettingError": 2,
}


def _write_into_a_file(folder: Path) -> None:
    from mnist_cnn.files import write_text

    (folder / "file").write_text("")
    write_text(folder / "file" / "inside", "")


def _damaged_picture(folder: Path) -> None:
    (folder / "picture.png").write_bytes(b"\x89PNG and no more")
    mnist_cnn.Recognizer.load().read(folder / "picture.png")


def _not_a_model(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a model")
    mnist_cnn.Recognizer.load(folder / "model.onnx")


def _labels_without_images(folder: Path) -> None:
    np.savez(folder / "digits.npz", labels=np.arange(3))
    mnist_cnn.load_dataset(str(folder / "digits.npz"))


def _no_run(folder: Path) -> None:
    mnist_cnn.open_run(folder)


def _no_recipe(folder: Path) -> None:
    mnist_cnn.load_recipe("nonsuch")


def test_the_tree_is_public_and_each_class_has_its_exit_code() -> None:
    found = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert found == set(_EXIT_CODES)
    for name, code in _EXIT_CODES.items():
        assert name in mnist_cnn.__all__
        kind = getattr(mnist_cnn, name)
        assert kind.exit_code == code
        assert issubclass(kind, mnist_cnn.InputError) == (code == 2)


@pytest.mark.parametrize(
    ("provoke", "kind"),
    [
        (_write_into_a_file, mnist_cnn.WriteError),
        (_damaged_picture, mnist_cnn.ImageError),
        (_not_a_model, mnist_cnn.ModelFileError),
        (_labels_without_images, mnist_cnn.DataError),
        (_no_run, mnist_cnn.RunFolderError),
        (_no_recipe, mnist_cnn.SettingError),
    ],
)
def test_a_caller_catches_an_error_by_its_cause(
    tmp_path: Path, provoke: Callable[[Path], None], kind: type[errors.MnistCnnError]
) -> None:
    with pytest.raises(errors.MnistCnnError) as caught:
        provoke(tmp_path)
    assert type(caught.value) is kind


def test_every_error_raised_in_the_package_names_its_cause() -> None:
    """`InputError` itself is only for callers to catch."""
    package = Path(inspect.getfile(mnist_cnn)).parent
    assert [str(file) for file in package.rglob("*.py") if "raise InputError(" in file.read_text("utf-8")] == []
