from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from mnist_cnn.datasets import load_dataset
from mnist_cnn.datasets.folder import prepare, read_folder, read_image
from mnist_cnn.errors import DataError


def save(path: Path, image: Image.Image | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or Image.new("L", (28, 28), 7)).save(path)
    return path


def stroke(mode: str, paper: Any, ink: Any, size: tuple[int, int] = (40, 60)) -> Image.Image:
    image = Image.new(mode, size, paper)
    image.paste(ink, (15, 10, 25, 50))
    return image


def test_classes_are_sorted_as_numbers_where_all_are(tmp_path: Path) -> None:
    for name in ("10", "9", "1"):
        save(tmp_path / name / "a.png")
    assert read_folder(tmp_path, "train").class_names == ("1", "9", "10")
    save(tmp_path / "b" / "a.png")
    assert read_folder(tmp_path, "train").class_names == ("1", "10", "9", "b")


def test_train_and_test_folders_are_the_split(tmp_path: Path) -> None:
    for part, names in (("train", "ab"), ("test", "b")):
        for name in names:
            save(tmp_path / part / name / "a.png")
    (tmp_path / "test" / "b" / "notes.txt").write_text("no image")
    (tmp_path / "test" / "b" / ".hidden.png").write_text("no image")
    test = load_dataset(tmp_path, split="test")
    assert (test.split, test.class_names, test.labels.tolist()) == ("test", ("a", "b"), [1])
    assert len(load_dataset(tmp_path, split="all")) == 3
    save(tmp_path / "test" / "c" / "a.png")
    with pytest.raises(DataError, match=r"test/c is no class of .*train\. Rename"):
        load_dataset(tmp_path, split="test")


def test_without_a_split_a_fixed_fifth_is_held_out(tmp_path: Path) -> None:
    for label in range(2):
        for index in range(10):
            save(tmp_path / str(label) / f"{index}.png", Image.new("L", (28, 28), 10 * label + index))
    parts = [load_dataset(tmp_path, split=split) for split in ("train", "test", "train")]
    values = [set(part.images[:, 0, 0].tolist()) for part in parts]
    assert values[0] == values[2]
    assert values[0] | values[1] == set(range(20))
    assert parts[1].labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("format_", ["png", "jpg", "bmp", "gif", "tiff", "webp", "ppm"])
def test_every_usual_format_is_read(tmp_path: Path, format_: str) -> None:
    image = read_image(save(tmp_path / f"a.{format_}", stroke("RGB", "white", "black")))
    assert image.shape == (28, 28)
    assert image[0, 0] < 10
    assert image[14, 13] > 245


@pytest.mark.parametrize(
    "image",
    [
        stroke("L", 255, 0),
        stroke("L", 0, 255),
        stroke("1", 1, 0),
        stroke("I;16", 65535, 0),
        stroke("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)),
        stroke("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)),
        stroke("RGBA", (0, 0, 0, 0), (255, 255, 255, 255)),
        stroke("LA", (255, 255), (0, 255)),
        stroke("L", 0, 255).convert("P"),
    ],
    ids=lambda image: image.mode,
)
def test_any_mode_and_polarity_becomes_light_ink_on_black(image: Image.Image) -> None:
    np.testing.assert_allclose(prepare(image), prepare(stroke("L", 0, 255)), atol=1)


def test_the_aspect_is_kept() -> None:
    wide = Image.new("L", (112, 56), 0)
    wide.paste(255, (28, 12, 56, 40))  # a square
    rows, columns = np.nonzero(prepare(wide))
    assert np.ptp(rows) == np.ptp(columns) == 6


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    image = Image.new("L", (28, 28), 0)
    image.paste(255, (2, 2, 6, 6))  # top left
    exif = Image.Exif()
    exif[0x0112] = 3  # the camera was upside down
    image.save(tmp_path / "a.png", exif=exif)
    assert read_image(tmp_path / "a.png")[23, 23] == 255


@given(pixels=hnp.arrays(np.uint8, (28, 28)))
def test_mnists_own_images_come_back_unchanged(pixels: np.ndarray) -> None:
    pixels[[0, -1]] = 0
    pixels[:, [0, -1]] = 0
    np.testing.assert_array_equal(prepare(Image.fromarray(pixels)), pixels)


@settings(max_examples=50)
@given(width=st.integers(1, 90), height=st.integers(1, 90))
def test_any_size_becomes_28_by_28(width: int, height: int) -> None:
    assert prepare(Image.new("L", (width, height), 200)).shape == (28, 28)


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    save(tmp_path / "0" / "good.png")
    (tmp_path / "0" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(DataError, match=r"0/bad\.png is no image that can be read"):
        read_folder(tmp_path, "train")


def test_a_postscript_file_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match="no image that can be read"):
        read_image(tmp_path / "a.png")


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("1", (9000, 9000)))
    with pytest.raises(DataError, match="9000×9000 pixels; at most 64,000,000"):
        read_image(path)


def test_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no class folders"):
        read_folder(tmp_path, "train")
    (tmp_path / "0").mkdir()
    with pytest.raises(DataError, match=r"0 holds no images\. Add some"):
        read_folder(tmp_path, "train")


@settings(max_examples=50)
@given(garbage=st.binary(max_size=300), head=st.sampled_from([b"", b"GIF89a", b"BM", b"II*\0", b"P5 "]))
def test_garbage_raises_nothing_but_data_error(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes, head: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.png"
    path.write_bytes(head + garbage)
    with contextlib.suppress(DataError):
        read_image(path)
