"""The images in a request's body, in any form."""

from __future__ import annotations

import binascii
import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.formparsers import MultiPartException, MultiPartParser

from mnist_cnn.errors import suggest
from mnist_cnn.reading.conventions import IMAGE_SIZE
from mnist_cnn.server.bodies import parse_json, read_body
from mnist_cnn.server.problems import Problem
from mnist_cnn.server.service import get_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from numpy.typing import NDArray
    from starlette.requests import Request

    from mnist_cnn.reading.ink import ImageSource

JSON_VALUES = 1_000_000  # most in one body; parsing them takes a tenth of a second
_FIELDS = 100  # of a form, beside the files
_ACCEPTED = "Send an image file (Content-Type: image/png), a form with files (multipart/form-data) or application/json"
_FORM = "Send it as: curl -F file=@digit.png"
_VALID = "Valid: an image file in base64; or pixels, as rows of grey levels 0 to 255 or as one list of 784"
_FILE_NAMES = ("file", "files", "image", "images")  # of fields that can only be meant as files
_DATA_HEAD = re.compile(r"\s*data:[^,]*;\s*base64", re.IGNORECASE)  # RFC 2397
_STANDARD = bytes.maketrans(b"-_", b"+/")  # from the URL-safe alphabet (RFC 4648, section 5)


@dataclass(frozen=True)
class Contents:
    """What the body of a request contains."""

    images: list[ImageSource]  # in order: file bytes, or pixels as arrays
    fields: Mapping[str, Any] = field(default_factory=dict)  # by name, of those that the route knows


async def contents_of(request: Request, fields: Sequence[str] = ()) -> Contents:
    """Return the images of a request, and the values beside them in JSON or a form.

    Args:
        request: Its body is one image, a form or JSON.
        fields: The names of values that JSON may contain; other fields of forms are ignored.

    Raises:
        Problem: There are no images or too many, or their form is not understood (400, 413, 415, 422).
    """
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    most = get_settings(request).max_images
    if kind.startswith("image/") or kind == "application/octet-stream":
        contents = Contents([await _body(request)])
    elif kind == "application/json":
        contents = contents_in(parse_json(await _body(request), JSON_VALUES), most, fields)
    elif kind == "multipart/form-data":
        contents = await _form_contents(request, most, fields)
    else:
        raise Problem(415, f"Content-Type {kind!r:.80} is not supported. {_ACCEPTED}.")
    if not contents.images:
        raise Problem(422, f"the request contains no image. {_ACCEPTED}.")
    return contents


class _FormInMemory(MultiPartParser):
    spool_max_size = 2**31  # bytes, more than any body: files never touch the disk


async def _form_contents(request: Request, most: int, fields: Sequence[str]) -> Contents:
    """Return the files of a form (RFC 7578), whatever their names, and some of its text fields."""
    body = await _body(request)

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await _FormInMemory(request.headers, stream(), max_files=most, max_fields=_FIELDS).parse()
    except MultiPartException as error:
        status = 413 if "Too many" in error.message else 400
        raise Problem(status, f"the form cannot be read: {error.message.rstrip('.')}. {_FORM}") from None
    if not body.rstrip().endswith(b"--"):
        raise Problem(400, f"the form is cut off: its last boundary is missing. {_FORM}")
    found = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    files = [value for _, value in form.multi_items() if not isinstance(value, str)]
    if fields or not files:
        _refuse_texts_as_files([name for name, _ in found])
    texts = texts_by_name(found, fields, "field", "form") if fields else {}
    return Contents([await file.read() for file in files if file.size or file.filename], texts)


def _refuse_texts_as_files(names: Sequence[str]) -> None:
    """Refuse a field that is named like a file but contains text: with curl, an @ was forgotten."""
    for name in names:
        if name in _FILE_NAMES:
            raise Problem(
                422,
                f"the field {name!r} of this form contains text, not a file. With curl, write @ before the file's "
                f"name: -F {name}=@NAME",
            )


def texts_by_name(found: Sequence[tuple[str, str]], known: Sequence[str], kind: str, place: str) -> dict[str, str]:
    """Return the values of a form or a query; a misspelt one must not be overlooked.

    Args:
        found: Names and values.
        known: The names that are understood.
        kind: What they are, for messages.
        place: Where they are, for messages.

    Raises:
        Problem: There is another name, or one of them twice (422).
    """
    texts: dict[str, str] = {}
    for name, value in found:
        if name not in known:
            raise Problem(422, f"{name!r:.80} is not a {kind} of this {place}. {suggest(name[:80], known)}")
        if name in texts:
            raise Problem(422, f"the {place} has the {kind} {name!r} twice. Send it once.")
        texts[name] = value
    return texts


def contents_in(value: Any, most: int, fields: Sequence[str] = ()) -> Contents:
    """Extract the images from `{"image": …}` or `{"images": [ … ]}`, and the fields beside them.

    Raises:
        Problem: It is neither, or has other fields (422), or there are more images than `most` (413).
    """
    beside = {name: value.pop(name) for name in fields if name in value} if isinstance(value, dict) else {}
    return Contents(_images_in(value, most, fields), beside)


def _images_in(value: Any, most: int, fields: Sequence[str]) -> list[ImageSource]:
    valid = ("image", "images", *fields)
    for name in value if isinstance(value, dict) else ():
        if name not in valid:
            raise Problem(422, f"{name!r:.80} is not a field of this JSON. {suggest(name[:80], valid)}")
    match value:
        case {"image": image, **others} if not others:
            return [image_in(image)]
        case {"images": [*images], **others} if not others:
            if len(images) > most:
                raise Problem(413, f"the request has {len(images)} images; the limit is {most}. Send several requests.")
            return [image_in(image, f"images[{place}]") for place, image in enumerate(images)]
    beside = f"besides {' and '.join(fields)}, " if fields else ""
    raise Problem(
        422, f'the JSON has the wrong form. Valid: {{"image": …}} or {{"images": [ … ]}}, and {beside}nothing else.'
    )


def image_in(value: Any, name: str = "image") -> ImageSource:
    """Extract one image from parsed JSON: base64 of an image file, or pixels.

    Args:
        value: Text (base64, with or without `data:…;base64,` before it), rows of grey levels 0 to 255, each in a list
            of its own or not, or one list of 784.
        name: Its name in error messages.

    Returns:
        The file's bytes, or uint8 or float64 [h, w].

    Raises:
        Problem: It is neither (422).
    """
    if isinstance(value, str):
        return _file(value, name)
    if isinstance(value, list):
        return _pixels(value, name)
    raise Problem(422, f"{name} is neither text nor a list. {_VALID}.")


async def _body(request: Request) -> bytes:
    body = await read_body(request)
    if not body:
        raise Problem(400, f"the body is empty. {_ACCEPTED}.")
    return body


def _file(text: str, name: str) -> bytes:
    head, comma, data = text.partition(",")
    try:
        return _from_base64(data if comma and _DATA_HEAD.fullmatch(head) else text)
    except ValueError:  # also for text that is not ASCII
        raise Problem(422, f"{name} is not base64 (RFC 4648, in either alphabet). {_VALID}.") from None


def _from_base64(text: str) -> bytes:
    """Decode base64 as programs write it: also in lines, in the URL-safe alphabet, or without padding.

    Spaces are skipped only in text of several lines: in one line they may be a plus that a form has turned into one.

    Raises:
        ValueError: It is not base64.
    """
    data = text.strip().encode("ascii")
    blanks = b" \t\r\n" if b"\n" in data or b"\r" in data else b""
    data = data.translate(_STANDARD, blanks)
    if b"=" not in data:
        data += b"=" * (-len(data) % 4)
    return binascii.a2b_base64(data, strict_mode=True)


def _pixels(rows: list[Any], name: str) -> NDArray[Any]:
    kinds = _kinds(rows)  # before NumPy sees them: it takes true for 1, and makes all texts as wide as the longest
    if not kinds or not kinds <= {int, float}:
        raise Problem(422, f"{name} is empty, or contains something that is not a number. {_VALID}.")
    try:
        pixels = np.array(rows, np.float64)
    except (ValueError, OverflowError):
        raise Problem(422, f"{name} has rows of different lengths, or a number out of range. {_VALID}.") from None
    if pixels.shape == (IMAGE_SIZE * IMAGE_SIZE,):
        pixels = pixels.reshape(IMAGE_SIZE, IMAGE_SIZE)
    elif pixels.shape[2:] == (1,):  # as images are in Keras
        pixels = pixels[..., 0]
    if pixels.ndim != 2:
        raise Problem(422, f"{name} has shape {'×'.join(map(str, pixels.shape[:4]))}. {_VALID}.")
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= 255):  # infinity, too
        raise Problem(422, f"{name} has values from {low:g} to {high:g}. {_VALID}.")
    return pixels.astype(np.uint8) if kinds == {int} else pixels


def _kinds(rows: list[Any]) -> set[type]:
    """Return the types of all elements of nested lists."""
    while True:
        kinds = set(map(type, rows))
        if kinds != {list}:
            return kinds
        rows = list(itertools.chain.from_iterable(rows))
