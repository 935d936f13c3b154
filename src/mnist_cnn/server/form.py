"""Files in a form (multipart/form-data, RFC 7578), taken from memory: they never touch the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mnist_cnn.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_multipart.multipart import MultipartCallbacks

_HEADER_BYTES = 2048  # of one line; a file's name has at most 255 characters
_HOW = "Send it as: curl -F file=@digit.png"


def files_in(body: bytes, content_type: str, most: int) -> list[bytes]:
    """Give the content of each file, in their order, whatever their names.

    Args:
        body: The whole form.
        content_type: As the request's header says, with the boundary.
        most: Files, more are refused.

    Raises:
        Problem: It is damaged (400), holds what is no file, or an empty one (422), or too many (413).
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise Problem(400, f"the form's Content-Type names no boundary. {_HOW}")
    parts = _Parts(most)
    try:
        parser = MultipartParser(boundary, parts.callbacks(), max_header_size=_HEADER_BYTES)
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise Problem(400, f"the form is damaged or cut off. {_HOW}") from None
    if not parts.is_complete:
        raise Problem(400, f"the form is cut off: its last boundary is missing. {_HOW}")
    _refuse_empty(parts.contents)
    return [bytes(content) for content in parts.contents]


def _refuse_empty(contents: Sequence[bytearray]) -> None:
    for number, content in enumerate(contents, 1):
        if not content:
            which = "the form's file" if len(contents) == 1 else f"file {number} of {len(contents)}"
            raise Problem(422, f"{which} is empty. Send one that holds an image.")


class _Parts:
    """Collects the parts of a form as the parser comes upon them."""

    def __init__(self, most: int) -> None:
        self.contents: list[bytearray] = []
        self.is_complete = False
        self._most = most
        self._name = self._value = b""
        self._disposition = b""

    def callbacks(self) -> MultipartCallbacks:
        """Give what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_to_name,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._check,
            "on_part_data": self._add_data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.contents) == self._most:
            raise Problem(413, f"the form holds more than {self._most} files. Send them in several requests.")
        self.contents.append(bytearray())
        self._disposition = b""

    def _add_to_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _check(self) -> None:
        options = parse_options_header(self._disposition.decode("latin-1"))[1]
        if b"filename" not in options:
            name = options.get(b"name", b"").decode("utf-8", "replace")
            raise Problem(422, f"the form's field {name!r:.60} is no file. {_HOW}")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self.contents[-1] += data[start:end]

    def _end(self) -> None:
        self.is_complete = True
