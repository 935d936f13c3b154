"""What may be replaced by an export: an earlier one, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mnist_cnn.errors import InputError
from mnist_cnn.export.destinations import check_place
from mnist_cnn.export.exporting import export
from mnist_cnn.export.formats import FORMATS
from mnist_cnn.export.metadata_files import IN_SAVED_MODEL, attach, dump
from mnist_cnn.export.original import Original

SOURCE = Path("elsewhere.keras")


@pytest.mark.parametrize("name", [each.name for each in FORMATS.values() if each.is_folder])
def test_a_folder_of_the_user_s_is_not_replaced(name: str, original: Original, tmp_path: Path) -> None:
    folder = tmp_path / FORMATS[name].file
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"is there already and is no export of mnist-cnn.*--output"):
        export(original, FORMATS[name], tmp_path)
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert list(folder.iterdir()) == [folder / "thesis.txt"]


def test_a_model_with_its_optimizer_is_not_replaced(original: Original, keras_file: Path, tmp_path: Path) -> None:
    shutil.copy(keras_file, tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"is no export of mnist-cnn"):
        export(original, FORMATS["keras"], tmp_path)
    assert (tmp_path / "model.keras").read_bytes() == keras_file.read_bytes()


@pytest.mark.parametrize("file", sorted({each.file for each in FORMATS.values()}))
def test_what_says_nothing_of_itself_is_foreign(file: str, tmp_path: Path) -> None:
    check_place(tmp_path / file, SOURCE)
    (tmp_path / file).write_bytes(b"of somebody else")
    with pytest.raises(InputError, match=r"is no export of mnist-cnn"):
        check_place(tmp_path / file, SOURCE)


def test_the_exported_model_itself_is_never_replaced(original: Original, tmp_path: Path) -> None:
    folder = tmp_path / "saved_model"
    model = folder / "model.keras"
    (folder / IN_SAVED_MODEL).parent.mkdir(parents=True)
    (folder / IN_SAVED_MODEL).write_text(dump(original.metadata))
    original.model.save(model)
    attach(model, original.metadata)
    link = tmp_path / "link.keras"
    link.symlink_to(model)
    check_place(model, SOURCE)
    for target, source in ((model, model), (model, folder), (model, link), (link, model), (folder, model)):
        with pytest.raises(InputError, match=r"is where the model itself lies. Choose another folder with --output"):
            check_place(target, source)


def test_an_export_is_replaced_by_the_next(original: Original, tmp_path: Path) -> None:
    for _ in range(2):
        assert export(original, FORMATS["keras"], tmp_path).path.exists()
