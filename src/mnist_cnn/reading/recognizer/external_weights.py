"""Weights that an ONNX file keeps in a second file beside it, put back into the first: PyTorch's exporter splits so.

ONNX Runtime is given whole files only, so that no file can make it read another one. What a file names as its second
one is read here, and only where it lies in the same folder. The few messages on the way are rewritten in protobuf's
wire format (https://protobuf.dev/programming-guides/encoding), since reading digits needs no onnx package.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mnist_cnn.errors import ModelFileError

_LARGEST_FILE = 512 * 2**20  # bytes of the second file
# Numbers of fields in onnx.proto: what leads to a tensor, and what says that its numbers lie elsewhere.
_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_TENSOR_RAW_DATA, _TENSOR_EXTERNAL, _TENSOR_LOCATION, _EXTERNAL = 9, 13, 14, b"\x01"
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_BYTES = 2  # the wire type of what has a length

Field = tuple[int, bytes, bytes]  # number, content, and the whole field as it stands in the message
Change = Callable[[bytes], bytes]


def join_weights(data: bytes, file: Path) -> bytes:
    """Give an ONNX file's content with all its weights inside.

    Args:
        data: The file's content; given back as it is where nothing lies elsewhere, and where it is damaged.
        file: Where it lies.

    Raises:
        ModelFileError: A second file is missing, too large or too small, or does not lie in the same folder.
    """
    if b"location" not in data:
        return data
    beside = _Beside(file)
    try:
        return _changed(data, _MODEL_GRAPH, lambda graph: _changed(graph, _GRAPH_INITIALIZER, beside.join))
    except ValueError:  # not protobuf, which ONNX Runtime says better
        return data


class _Beside:
    """The files beside a model that hold its weights, each read once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._contents: dict[str, bytes] = {}
        self._joined = 0  # bytes

    def join(self, tensor: bytes) -> bytes:
        """Give a TensorProto with its numbers inside."""
        fields = list(_fields(tensor))
        if not any(number == _TENSOR_LOCATION and content == _EXTERNAL for number, content, _ in fields):
            return tensor
        entries = dict(_entry(content) for number, content, _ in fields if number == _TENSOR_EXTERNAL)
        content = self._content(entries.get("location", ""))
        offset, end = self._span(entries, len(content))
        if not 0 <= offset <= end <= len(content):
            raise ModelFileError(
                f"{self._file} keeps its weights in {entries['location']}, which is too short: it has {len(content):,} "
                f"bytes, {end:,} are needed. Copy both files again."
            )
        self._joined += end - offset
        if self._joined > _LARGEST_FILE:  # many tensors may name the same bytes
            raise ModelFileError(
                f"{self._file} has more than {_LARGEST_FILE >> 20} MB of weights, too much for digits."
            )
        kept = [whole for number, _, whole in fields if number not in (_TENSOR_EXTERNAL, _TENSOR_LOCATION)]
        return b"".join([*kept, _field(_TENSOR_RAW_DATA, content[offset:end])])

    def _span(self, entries: Mapping[str, str], size: int) -> tuple[int, int]:
        offset, length = entries.get("offset") or "0", entries.get("length") or ""
        try:
            return int(offset), int(offset) + int(length) if length else size
        except ValueError:
            raise ModelFileError(f"{self._file} is damaged: it says that weights begin at {offset!r:.50}.") from None

    def _content(self, location: str) -> bytes:
        if location not in self._contents:
            self._contents[location] = self._read(location)
        return self._contents[location]

    def _read(self, location: str) -> bytes:
        advice = (
            "Put both files into one folder, or save the weights in one file: "
            "onnx.save_model(onnx.load(PATH), 'one.onnx')"
        )
        name = f"{self._file} keeps its weights in a second file, {location!r:.200},"
        plain = posixpath.normpath(location)  # some write ./weights.bin
        if not _is_plain_name(plain):
            raise ModelFileError(f"{name} in another folder, and none but its own is read from. {advice}")
        place = self._file.parent / plain
        try:
            if place.resolve(strict=True).parent not in self._folders():
                raise ModelFileError(
                    f"{name} which is a link to a file in another folder, and none but its own is read from. Replace "
                    "the link with a copy of that file, or save the weights in one file: "
                    "onnx.save_model(onnx.load(PATH), 'one.onnx')"
                )
            if place.stat().st_size > _LARGEST_FILE:
                raise ModelFileError(f"{name} of more than {_LARGEST_FILE >> 20} MB, too much for digits. {advice}")
            return place.read_bytes()
        except FileNotFoundError:
            raise ModelFileError(f"{name} which is not beside it. {advice}") from None
        except OSError as error:
            raise ModelFileError(f"{name} which cannot be read: {error.strerror}. {advice}") from None

    def _folders(self) -> tuple[Path, Path]:
        """Give the model's folder, and the one it lies in where its name is a link: caches keep both files there."""
        return self._file.parent.resolve(), self._file.resolve().parent


def _is_plain_name(location: str) -> bool:
    return location.isprintable() and not set(location) & set("/\\:") and location not in ("", ".", "..")


def _entry(message: bytes) -> tuple[str, str]:
    """Read a StringStringEntryProto."""
    texts = {number: content.decode() for number, content, _ in _fields(message)}
    return texts.get(_ENTRY_KEY, ""), texts.get(_ENTRY_VALUE, "")


def _changed(message: bytes, number: int, change: Change) -> bytes:
    """Give a message with every field of that number changed."""
    return b"".join(
        _field(number, change(content)) if each == number else whole for each, content, whole in _fields(message)
    )


def _fields(message: bytes) -> Iterator[Field]:
    """Take a message apart.

    Raises:
        ValueError: It is not a message.
    """
    position = 0
    while position < len(message):
        key, start = _varint(message, position)
        match key & 7:
            case 0:  # a number
                _, end = _varint(message, start)
            case 1:  # 8 bytes
                end = start + 8
            case 2:  # a length and as many bytes
                length, start = _varint(message, start)
                end = start + length
            case 5:  # 4 bytes
                end = start + 4
            case _:
                raise ValueError("an unknown wire type")
        if end > len(message):
            raise ValueError("a field beyond the end")
        yield key >> 3, message[start:end], message[position:end]
        position = end


def _field(number: int, content: bytes) -> bytes:
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(content)) + content


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first; give it and where it ends."""
    value = 0
    for place, byte in enumerate(message[position : position + 10]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, position + place + 1
    raise ValueError("a number without end")


def _as_varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _as_varint(rest) if rest else bytes([low])
