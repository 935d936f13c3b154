"""The tree of errors: a caller can catch each cause, and each has its exit code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

import mnist_cnn
from mnist_cnn import errors
from mnist_cnn.files import write_text

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
        (lambda file: write_text(file / "inside", ""), mnist_cnn.WriteError),
        (lambda file: mnist_cnn.Recognizer.load().read(file), mnist_cnn.ImageError),
        (mnist_cnn.Recognizer.load, mnist_cnn.ModelFileError),
        (mnist_cnn.load_dataset, mnist_cnn.DataError),
        (mnist_cnn.open_run, mnist_cnn.RunFolderError),
        (mnist_cnn.load_recipe, mnist_cnn.SettingError),
    ],
)
def test_a_caller_catches_an_error_by_its_cause(
    tmp_path: Path, provoke: Callable[[Path], object], kind: type[errors.MnistCnnError]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("of no use to any of them")
    with pytest.raises(errors.MnistCnnError) as caught:
        provoke(file)
    assert type(caught.value) is kind


def test_every_error_raised_in_the_package_names_its_cause() -> None:
    """`InputError` itself is only for callers to catch."""
    package = Path(inspect.getfile(mnist_cnn)).parent
    assert [str(file) for file in package.rglob("*.py") if "raise InputError(" in file.read_text("utf-8")] == []
