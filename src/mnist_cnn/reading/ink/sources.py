"""Read one image from an array, path, bytes, open file or Pillow image, as grey levels."""

from __future__ import annotations

import importlib
import io
import math
import os
import re
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from mnist_cnn.errors import DataError, ImageError, first_line
from mnist_cnn.reading.ink.colours import levels_of_false_colours
from mnist_cnn.reading.ink.pixels import Pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

ImageSource: TypeAlias = (
    "NDArray[Any] | str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image"
)

CHANNELS = (1, 2, 3, 4)  # of one image [h, w, channels]: grey, grey and alpha, RGB, RGBA
MAX_PIXELS = 64_000_000  # of one image: the largest photo of a phone, 256 MB when decoded
SUFFIXES = frozenset(
    {".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm"}
    | {".ppm", ".tif", ".tiff", ".webp"}
)  # of the files that `read_image` reads, lower case
VALID = "Valid: array, path, bytes, open file, Pillow image."  # sources of one image, for messages

# An allow-list: some other parsers of Pillow run programs (EPS calls Ghostscript) or are hardly tested.
_COMMON_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM")  # the first `Image.open` imports their plugins
_RARE_FORMATS = {
    "TIFF": "PIL.TiffImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
    "JPEG2000": "PIL.Jpeg2KImagePlugin",
}
_REFUSED = (  # bytes near the beginning of a file, and what to do with such a file
    (b"<svg", "a vector drawing (SVG). Export it as PNG."),
    (b"ftyphei", "a HEIC photo, and there is no codec for it. Export it as JPEG."),
    (b"ftypmif1", "a HEIF photo, and there is no codec for it. Export it as JPEG."),
    (b"%!PS", "PostScript, a program. Export it as PNG."),
    (b"%PDF", "a PDF document. Export its page as PNG."),
)
_HEAD_BYTES = 1024
_LARGEST_FILE = 512 * 2**20  # bytes read from an open file
_ENOUGH = 1500  # pixels, shorter side of a photo; a JPEG file of twice the size is decoded at half its size
_LARGEST_FIGURE = 2_000_000  # pixels of a JPEG file that a plotting library writes; a camera's has more
_COARSE = 256  # pixels, shorter side of the reduced JPEG image whose colours are examined
_LITTLE_ABOVE_1 = 2.0
_EXIF_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what brings a picture upright, by its orientation (EXIF 2.3, section 4.6.4)


def read_image(source: ImageSource, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Read an image as grey levels, upright, without changing its polarity.

    Colour becomes luminance (ITU-R 601); false colours become the distance from the most frequent colour. Transparent
    images are put on contrasting paper. Arrays may be [h, w] or [h, w, 1] grey, [h, w, 2] grey and alpha, [h, w, 3] RGB
    or [h, w, 4] RGBA. They may contain bool; integers 0 to 1, 0 to 255, or grey up to 2³², which are shifted down to 8
    bits; floats 0 to 1, or 0 to 255 if one exceeds 2 (interpolation may overshoot 1 a little).

    Args:
        source: An array, a file's path, a file's bytes, a file opened in binary mode (read from its start if it can be
            rewound, and left open), or a Pillow image. The first frame of an animation.
        max_pixels: Height times width. A file's size is checked before anything is decoded.

    Returns:
        uint8 [h, w]. Large JPEG files are reduced to a half, a quarter or an eighth of their size.

    Raises:
        ImageError: Not an image, damaged, empty, of an unsupported format, or larger than `max_pixels`.
    """
    return read_reduced(source, max_pixels)[0]


def read_reduced(source: ImageSource, max_pixels: int = MAX_PIXELS) -> tuple[Pixels, float]:
    """Read an image like `read_image`; also return its pixels per pixel of the result, 1 unless it was reduced."""
    if isinstance(source, np.ndarray):
        return _with_reduction(_grey_array(np.asarray(source), max_pixels), source.shape[:2])
    if isinstance(source, (bytearray, memoryview)):
        source = bytes(source)
    source = _content(source) if is_open_file(source) else source
    if isinstance(source, str) and not source:
        raise ImageError("the path is empty. Give the path of an image file.")
    name = _name(source)
    try:
        if isinstance(source, Image.Image):
            return _with_reduction(_grey_image(source, name, max_pixels), source.size)
        image, size = _open(cast("str | os.PathLike[str] | bytes", source), name, max_pixels)
        with image:
            return _with_reduction(_grey_image(image, name, max_pixels), size)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Pillow's parsers raise errors of many kinds: struct, syntax, index, zlib, …
        raise ImageError(_reason(error, name, max_pixels)) from error


def is_open_file(source: Any) -> bool:
    """Return whether something can be read like a file: an open file, `io.BytesIO`, a member of an archive."""
    return callable(getattr(source, "read", None)) and not isinstance(source, os.PathLike)


def _content(file: Any) -> bytes:
    name = f"this {type(file).__name__}"
    if isinstance(file, io.TextIOBase):
        raise ImageError(f"{name} is open as text. Open it in binary mode: open(path, 'rb')")
    try:
        if getattr(file, "seekable", bool)():
            file.seek(0)  # after writing, the position is at the end
        content = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise ImageError(f"{name} cannot be read: {first_line(error)}. Give an open file.") from error
    if not isinstance(content, bytes):
        raise ImageError(f"{name} returns {type(content).__name__}. Open it in binary mode: open(path, 'rb')")
    if len(content) > _LARGEST_FILE:
        raise ImageError(f"{name} has more than {_LARGEST_FILE >> 20} MB. Give a smaller file.")
    return content


def _reason(error: Exception, name: str, max_pixels: int) -> str:
    match error:
        case Image.DecompressionBombError():
            found = re.search(r"\d+", str(error))  # Pillow refuses the largest ones itself, and says how large
            size = f"{int(found[0]):,}" if found else "too many"
            return f"{name} has {size} pixels; at most {max_pixels:,} are read. Scale it down."
        case OSError(strerror=str()):
            return f"{name} cannot be read: {error.strerror}. Check its path and permissions."
    return f"{name} cannot be read: damaged, or not one of {', '.join((*_COMMON_FORMATS, *_RARE_FORMATS))}. Replace it."


def _name(source: Any) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, (bytes, Image.Image)):
        return "this image"
    raise ImageError(f"{type(source).__name__} is not an image. {VALID}")


def _with_reduction(levels: Pixels, size: tuple[int, ...]) -> tuple[Pixels, float]:
    return levels, max(size) / max(levels.shape)


def _open(source: str | os.PathLike[str] | bytes, name: str, max_pixels: int) -> tuple[Image.Image, tuple[int, int]]:
    """Open a file, and prepare it to be decoded in reduced size if it is large; return its full size, too."""
    try:
        image = _identify(source)
    except UnidentifiedImageError:
        head = source[:_HEAD_BYTES] if isinstance(source, bytes) else _head(Path(source))
        for mark, reason in _REFUSED:
            if mark in head:
                raise ImageError(f"{name} is {reason}") from None
        raise
    pixels = image.width * image.height
    size = image.size
    if pixels > max_pixels:  # `_grey_image` refuses it
        return image, size
    if pixels <= _LARGEST_FIGURE and min(size) < 2 * _COARSE:
        if not _is_coded_as_rgb(image):  # decoded once: Y is the luminance, and colours are there
            image.draft("YCbCr", size)
    elif pixels > _LARGEST_FIGURE or image.format != "JPEG" or not _has_false_colours(source):
        image.draft("L", (_ENOUGH, _ENOUGH))
    return image, size


def _is_coded_as_rgb(image: Image.Image) -> bool:
    """Return whether a JPEG file contains red, green and blue as they are, which libjpeg cannot decode as YCbCr."""
    names = bytes(layer[0] for layer in getattr(image, "layer", ()))
    return "jfif" not in image.info and (image.info.get("adobe_transform") == 0 or names == b"RGB")


def _has_false_colours(source: str | os.PathLike[str] | bytes) -> bool:
    """Return whether a JPEG file has false colours, which decoding to grey would lose; takes little time."""
    with _identify(source) as image:
        image.draft("RGB", (_COARSE, _COARSE))
        return levels_of_false_colours(image) is not None


def _identify(source: str | os.PathLike[str] | bytes) -> Image.Image:
    file: io.BytesIO | Path = io.BytesIO(source) if isinstance(source, bytes) else Path(source)
    try:
        return Image.open(file, formats=_COMMON_FORMATS)
    except UnidentifiedImageError:
        return Image.open(file, formats=_rare_formats())


@cache
def _rare_formats() -> tuple[str, ...]:
    for plugin in _RARE_FORMATS.values():
        importlib.import_module(plugin)
    return tuple(name for name in _RARE_FORMATS if name in Image.OPEN)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _grey_image(image: Image.Image, name: str, max_pixels: int) -> Pixels:
    _check_size(image.height, image.width, name, max_pixels)
    turn = _TURNS.get(_orientation(image))
    if turn is not None:  # not `ImageOps.exif_transpose`, which fails if it cannot write some other metadata again
        image = image.transpose(turn)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):  # Pillow's own conversion clips these at 255
        return _grey_array(np.asarray(image), max_pixels)
    if (levels := levels_of_false_colours(image)) is not None:
        return levels
    if image.has_transparency_data:
        return _on_paper(image)
    return np.array(image.convert("L"))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged metadata of the camera; the image itself may be intact
        return 1


def _on_paper(image: Image.Image) -> Pixels:
    """Put a transparent image on contrasting paper.

    If less than half is opaque, that is ink, and the paper is black or white, whichever contrasts. Otherwise the
    opaque part has its own paper, which is continued.
    """
    layers = image.convert("LA")
    reduction = math.isqrt(image.width * image.height) // _ENOUGH
    if reduction > 1:  # the sums below take about twenty bytes per pixel
        layers = layers.reduce(reduction)
    luminance, alpha = np.moveaxis(np.asarray(layers), 2, 0)  # each uint8 [h, w]
    if alpha.min() == 255:
        return np.ascontiguousarray(luminance)
    weight = alpha.astype(np.float32)
    ink = float((luminance * weight).sum() / max(weight.sum(), 1))
    paper = (0 if ink > 127 else 255) if weight.mean() < 128 else int(np.median(luminance[alpha > 127]))
    blended: Pixels = (luminance * weight + paper * (255 - weight)) / 255
    return np.rint(blended).astype(np.uint8)


def _grey_array(array: Pixels, max_pixels: int) -> Pixels:
    array = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in CHANNELS):
        valid = ", ".join(["(h, w)", *(f"(h, w, {count})" for count in CHANNELS)])
        raise ImageError(f"an array of shape {array.shape} is not an image. Valid: {valid}.")
    _check_size(array.shape[0], array.shape[1], "this array", max_pixels)
    levels = np.ascontiguousarray(_levels(array))  # OpenCV cannot draw into masks in another order
    return levels if levels.ndim == 2 else _grey_image(Image.fromarray(levels), "this array", max_pixels)


def _check_size(height: int, width: int, name: str, max_pixels: int) -> None:
    if height * width == 0:
        raise ImageError(f"{name} is empty ({width}×{height} pixels). An image has at least one pixel.")
    if height * width > max_pixels:
        raise ImageError(f"{name} has {width}×{height} pixels; at most {max_pixels:,} are read. Scale it down.")


def _levels(array: Pixels) -> Pixels:
    kind = array.dtype.kind
    if kind not in "biuf":
        raise ImageError(f"an image cannot contain {array.dtype}. Valid: bool, integers, floats.")
    low, high = array.min(), array.max()
    if high <= 1 and kind != "f":  # a mask
        return np.asarray((array == 1) * np.uint8(255), np.uint8)
    if array.dtype == np.uint8:
        return array
    bits = max(8, int(high).bit_length()) if kind != "f" and low >= 0 else 8
    is_valid = low >= 0 and (high <= 255 or (kind != "f" and array.ndim == 2 and bits <= 32))  # NaN fails every test
    if not is_valid:
        raise ImageError(
            f"the array's values range from {low:g} to {high:g}. Valid: 0 to 1, or 0 to 255, without NaN; in grey "
            "images, also integers up to 2³²."
        )
    if kind != "f":
        return (array >> (bits - 8)).astype(np.uint8)
    return np.rint(array * (255 / max(float(high), 1.0) if high <= _LITTLE_ABOVE_1 else 1.0)).astype(np.uint8)


def identify(content: bytes) -> tuple[str, int]:
    """Return a file's image format, as named by Pillow, such as "JPEG2000", and its number of pixels.

    Only the beginning is parsed; nothing is decoded.

    Raises:
        Exception: Of many kinds: `read_image` cannot read it.
    """
    with _identify(content) as image:
        return image.format or "", image.width * image.height
