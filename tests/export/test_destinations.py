"""What an export may replace: an earlier export, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mnist_cnn.errors import InputError
from mnist_cnn.export.destinations import check_place
from mnist_cnn.export.exporting import export
from mnist_cnn.export.formats import FORMATS
from mnist_cnn.export.formats.saved_model import METADATA
from mnist_cnn.export.metadata_files import attach, write_json

if TYPE_CHECKING:
    from mnist_cnn.export.original import Original

KERAS = FORMATS["keras"]


def test_a_model_with_its_optimizer_is_not_replaced(original: Original, keras_file: Path, tmp_path: Path) -> None:
    shutil.copy(keras_file, tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"was not exported by mnist-cnn"):
        export(original, KERAS, tmp_path)
    assert (tmp_path / "model.keras").read_bytes() == keras_file.read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_or_folder_of_the_user_is_not_replaced(name: str, tmp_path: Path) -> None:
    place, source = tmp_path / FORMATS[name].file, Path("elsewhere.keras")
    check_place(FORMATS[name], place, source)
    if FORMATS[name].is_folder:
        place.mkdir()
        (place / "thesis.txt").write_text("years of work")
    else:
        place.write_bytes(b"of somebody else")
    with pytest.raises(InputError, match=r"was not exported by mnist-cnn.*--output"):
        check_place(FORMATS[name], place, source)


def test_the_exported_model_itself_is_never_replaced(original: Original, tmp_path: Path) -> None:
    folder = tmp_path / "saved_model"
    model = folder / "model.keras"
    (folder / METADATA).parent.mkdir(parents=True)
    write_json(folder / METADATA, original.metadata)
    original.model.save(model)
    attach(model, original.metadata)
    link = tmp_path / "link.keras"
    link.symlink_to(model)
    check_place(KERAS, model, Path("elsewhere.keras"))
    for target, source in ((model, model), (model, folder), (model, link), (link, model), (folder, model)):
        with pytest.raises(InputError, match=r"is or contains the model itself. Choose another folder with --output"):
            check_place(KERAS, target, source)
