from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

from mnist_cnn.errors import DataError
from mnist_cnn.reading.ink import read_image
from mnist_cnn.reading.ink.colours import levels_of_false_colours
from mnist_cnn.reading.ink.sources import MAX_PIXELS, SUFFIXES


def stroke(mode: str, paper: Any, ink: Any) -> Image.Image:
    image = Image.new(mode, (40, 60), paper)
    image.paste(ink, (15, 10, 25, 50))
    return image


def encoded(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tiff", "webp", "ppm", "jp2"])
def test_every_usual_format_is_read_by_path_and_by_bytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    stroke("RGB", "white", "black").save(path)
    assert path.suffix in SUFFIXES
    for source in (path, str(path), path.read_bytes()):
        image = read_image(source)
        assert (image.shape, image.dtype.name) == ((60, 40), "uint8")
        assert image[2, 2] > 245
        assert image[30, 20] < 10


@pytest.mark.parametrize(
    ("image", "paper", "ink"),
    [
        (stroke("L", 0, 255), 0, 255),
        (stroke("1", 1, 0), 255, 0),
        (stroke("I;16", 65535, 256), 255, 1),
        (stroke("I", 65535, 256), 255, 1),
        (stroke("F", 1.0, 0.2), 255, 51),
        (stroke("RGB", (255, 0, 0), (0, 0, 255)), 76, 29),
        (stroke("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), 255, 0),
        (stroke("RGBA", (9, 9, 9, 0), (0, 0, 0, 255)), 255, 0),
        (stroke("RGBA", (9, 9, 9, 0), (255, 255, 255, 255)), 0, 255),
        (stroke("RGBA", (9, 9, 9, 0), (0, 0, 0, 51)), 255, 204),
        (stroke("RGBA", (230, 230, 230, 255), (9, 9, 9, 0)), 230, 230),
        (stroke("LA", (255, 255), (0, 255)), 255, 0),
        (stroke("L", 0, 255).convert("P"), 0, 255),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else str(value),
)
def test_any_mode_becomes_grey_and_keeps_its_polarity(image: Image.Image, paper: int, ink: int) -> None:
    grey = read_image(image)
    np.testing.assert_allclose([grey[2, 2], grey[30, 20]], [paper, ink], atol=1)


def test_the_palette_s_transparent_colour_is_paper() -> None:
    image = stroke("L", 0, 255).convert("P")
    grey = read_image(encoded(image, "GIF", transparency=image.getpixel((0, 0))))
    assert (grey[2, 2], grey[30, 20]) == (0, 255)


def test_the_first_frame_of_an_animation_is_read() -> None:
    frames = [Image.new("L", (9, 9), level) for level in (40, 200)]
    assert set(read_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])).ravel()) == {40}


@pytest.mark.parametrize(("orientation", "place"), [(1, (1, 1)), (3, (-2, -2)), (6, (1, -2)), (8, (-2, 1))])
def test_exif_rotation_is_applied(orientation: int, place: tuple[int, int]) -> None:
    image = Image.new("L", (40, 28), 0)
    image.paste(255, (0, 0, 4, 4))  # top left, as the camera was held
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey = read_image(encoded(image, exif=exif))
    assert grey.shape == ((40, 28) if orientation in (6, 8) else (28, 40))
    assert grey[place] == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_those_of_pillow(orientation: int) -> None:
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, exif=exif)
    with Image.open(io.BytesIO(content)) as opened:
        np.testing.assert_array_equal(read_image(content), np.asarray(ImageOps.exif_transpose(opened)))


def test_other_metadata_of_an_unusual_type_do_not_matter() -> None:
    resolution = struct.pack("<HHI4s", 0x011A, 2, 4, b"abc")  # as text instead of a fraction
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + resolution
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    assert read_image(encoded(stroke("L", 255, 0), "JPEG", exif=exif)).shape == (40, 60)


@pytest.mark.parametrize("side", [300, 1200])
def test_a_jpeg_file_that_keeps_red_green_and_blue_is_read(side: int) -> None:
    picture = stroke("RGB", (255, 0, 0), (0, 0, 255)).resize((side, side))
    found = read_image(encoded(picture, "JPEG", quality=95, keep_rgb=True))
    np.testing.assert_allclose(found[[5, side // 2], [5, side // 2]], [76, 29], atol=3)


def test_false_colours_take_little_memory() -> None:
    drawn = cv2.line(np.zeros((900, 900), np.uint8), (300, 200), (600, 700), 255, 90)
    grey = np.maximum(cv2.GaussianBlur(drawn, (0, 0), 40), 5)
    picture = Image.fromarray(np.ascontiguousarray(cv2.applyColorMap(grey, cv2.COLORMAP_JET)[:, :, ::-1]))
    tracemalloc.start()
    assert levels_of_false_colours(picture) is not None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25 * 900**2


@pytest.mark.parametrize("array", [np.zeros((9, 7), np.uint8), np.zeros((9, 7), bool), np.zeros((9, 7))])
def test_the_order_in_memory_does_not_matter(array: np.ndarray) -> None:
    assert read_image(np.asfortranarray(array)).flags.c_contiguous


def test_a_file_that_is_open_as_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(stroke("L", 255, 0)))
    with path.open(encoding="utf-8") as file, pytest.raises(DataError, match="is open as text"):
        read_image(file)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(300, 40), (511, 700), (600, 800)])
def test_a_photo_in_colour_is_read_as_its_luminance(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(90, 160, (size[1] // 4, size[0] // 4, 3), np.uint8)
    photo = encoded(Image.fromarray(noise).resize(size), "JPEG")
    with Image.open(io.BytesIO(photo)) as expected:
        expected.draft("L", size)
        np.testing.assert_array_equal(read_image(photo), np.asarray(expected))


def test_a_large_photo_is_decoded_at_reduced_size() -> None:
    assert read_image(encoded(Image.new("RGB", (6200, 3100), "white"), "JPEG")).shape == (1550, 3100)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0, 7, 255]], np.uint8), [[0, 7, 255]]),
        (np.array([[[0], [7]]], np.uint8), [[0, 7]]),
        (np.array([[False, True]]), [[0, 255]]),
        (np.array([[0, 1]], np.uint8), [[0, 255]]),
        (np.array([[0, 255]], np.int64), [[0, 255]]),
        (np.array([[0, 65535]], np.uint16), [[0, 255]]),
        (np.array([[0, 200]], np.uint16), [[0, 200]]),
        (np.array([[0.0, 0.5, 1.0]]), [[0, 128, 255]]),
        (np.array([[0.0, 127.5, 255.0]], np.float32), [[0, 128, 255]]),
        (np.full((1, 2, 3), 9, np.uint8), [[9, 9]]),
        (np.full((1, 2, 3), 1.0), [[255, 255]]),
        (np.array([[[0, 0, 0, 0], [255, 255, 255, 255]]], np.uint8), [[0, 255]]),
    ],
)
def test_arrays_of_every_kind_are_grey_levels(array: np.ndarray, expected: list[list[int]]) -> None:
    np.testing.assert_array_equal(read_image(array), expected)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(784, np.uint8), r"shape \(784,\) is not an image\. Valid: \(h, w\), \(h, w, 1\)"),
        (np.zeros((1, 28, 28), np.uint8), r"shape \(1, 28, 28\) is not an image"),
        (np.zeros((0, 28), np.uint8), r"empty \(28×0 pixels\)"),
        (np.zeros((28, 28, 0), np.uint8), r"shape \(28, 28, 0\) is not an image"),
        (np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (9000, 9000), (0, 0)), "9000×9000 pixels; at most"),
        (np.array([[0.5, np.nan]]), "without NaN"),
        (np.array([[-1, 3]]), "range from -1 to 3"),
        (np.array([[0.0, 300.0]]), "to 300. Valid: 0 to 1, or 0 to 255"),
        (np.full((2, 2, 3), 300), "to 300. Valid"),
        (np.array([["a"]]), "cannot contain <U1"),
    ],
)
def test_an_array_that_is_not_an_image_is_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_image(array)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n", "PostScript, a program"),
        (b"", "cannot be read: damaged"),
        (b"\x89PNG\r\n\x1a\nrubbish", "cannot be read: damaged"),
        (encoded(stroke("L", 255, 0))[:70], "cannot be read: damaged"),
        (encoded(stroke("L", 255, 0), "JPEG")[:-200], "cannot be read: damaged"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_file_that_is_not_an_image_is_refused_with_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for source, name in ((path, str(path)), (content, "this image")):
        with pytest.raises(DataError, match=reason) as caught:
            read_image(source)
        assert str(caught.value).startswith(name)


def test_missing_files_and_other_types_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.png cannot be read: No such file"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_image(tmp_path)
    with pytest.raises(DataError, match="int is not an image"):
        read_image(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("side", "message"), [(9000, "9000×9000 pixels"), (14_000, "has 196,000,000 pixels")]
)  # ours, Pillow's
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side: int, message: str) -> None:
    with pytest.raises(DataError, match=f"{message}; at most {MAX_PIXELS:,}"):
        read_image(encoded(Image.new("1", (side, side))))


@pytest.mark.parametrize("high", [1.0, 1.0001, 1.16, 2.0])
def test_floats_may_overshoot_1_a_little(high: float) -> None:
    array = np.linspace(0, high, 256).reshape(16, 16)
    np.testing.assert_array_equal(read_image(array), np.arange(256, dtype=np.uint8).reshape(16, 16))


def test_damaged_exif_data_do_not_matter() -> None:
    picture = stroke("L", 255, 0)
    np.testing.assert_array_equal(read_image(encoded(picture, exif=b"Exif\0\0 damaged")), np.asarray(picture))


def test_out_of_memory_is_not_reported_as_a_bad_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    content = encoded(stroke("L", 255, 0))
    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(MemoryError):
        read_image(content)


def test_a_large_transparent_drawing_is_read_smaller() -> None:
    drawing = Image.new("RGBA", (3200, 4000))
    drawing.paste((0, 0, 0, 255), (1000, 1000, 1400, 3000))
    grey = read_image(drawing)
    assert grey.shape == (2000, 1600)
    assert (grey[1000, 600], grey[100, 100]) == (0, 255)


@settings(max_examples=80)
@given(place=st.integers(8, 300), byte=st.integers(0, 255), format_=st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP"]))
def test_a_damaged_file_raises_nothing_but_data_error(place: int, byte: int, format_: str) -> None:
    content = bytearray(encoded(stroke("L", 255, 0), format_))
    content[place % len(content)] = byte
    with contextlib.suppress(DataError):
        read_image(bytes(content))


@given(
    array=hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.float32, np.bool_, np.complex64]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    )
)
def test_any_array_is_read_or_refused(array: np.ndarray) -> None:
    with contextlib.suppress(DataError):
        assert read_image(array).ndim == 2


def test_rare_formats_are_loaded_only_when_needed() -> None:
    code = "import sys, mnist_cnn.reading.ink; print(*[name for name in sys.modules if name.endswith('Plugin')])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


def test_a_caller_may_set_a_lower_limit(tmp_path: Path) -> None:
    picture = np.zeros((40, 50), np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(picture).save(path)
    for source in (picture, path, path.read_bytes(), Image.fromarray(picture)):
        assert read_image(source, max_pixels=2000).shape == (40, 50)
        with pytest.raises(DataError, match="50×40 pixels; at most 1,999 are read"):
            read_image(source, max_pixels=1999)
