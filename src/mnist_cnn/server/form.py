"""Files in a form (multipart/form-data, RFC 7578), taken from memory: they never touch the disk."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mnist_cnn.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_multipart.multipart import MultipartCallbacks

_HEADER_BYTES = 2048  # of one line; a file's name has at most 255 characters
_FIELDS = 100  # beside the files: each costs time, in which nobody else is served
_FILE_TYPE = re.compile(rb"\s*(image/|application/octet-stream)", re.IGNORECASE)
_HOW = "Send it as: curl -F file=@digit.png"


def files_in(body: bytes, content_type: str, most: int) -> list[bytes]:
    """Give the content of each file, in their order, whatever their names. Text fields beside them are ignored.

    Args:
        body: The whole form.
        content_type: As the request's header says, with the boundary.
        most: Files, more are refused.

    Raises:
        Problem: It is damaged (400), holds no file but fields, or an empty file (422), or too many (413).
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
    if parts.fields and not parts.contents:
        name = parts.fields[0].decode("utf-8", "replace")
        raise Problem(422, f"the form's field {name!r:.60} is not a file. {_HOW}")
    _refuse_empty(parts.contents)
    return [bytes(content) for content in parts.contents]


def _refuse_empty(contents: Sequence[bytearray]) -> None:
    for number, content in enumerate(contents, 1):
        if not content:
            which = "the form's file" if len(contents) == 1 else f"file {number} of {len(contents)}"
            raise Problem(422, f"{which} is empty. Send one that holds an image.")


class _Parts:
    """Collects the files of a form as the parser comes upon them.

    Attributes:
        contents: Of the files.
        fields: Names of the parts that are not files.
        is_complete: The form's end was found.
    """

    def __init__(self, most: int) -> None:
        self.contents: list[bytearray] = []
        self.fields: list[bytes] = []
        self.is_complete = False
        self._most = most
        self._name = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._is_file = False

    def callbacks(self) -> MultipartCallbacks:
        """Give what the parser calls."""
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._add_to_name,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _add_to_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _begin(self) -> None:
        """Tell files from text fields once a part's headers have come."""
        self._is_file = bool(self._file_name() is not None or _FILE_TYPE.match(self._headers.get(b"content-type", b"")))
        if self._is_file and len(self.contents) == self._most:
            raise Problem(413, f"the form holds more than {self._most} files. Send them in several requests.")
        if len(self.fields) == _FIELDS:
            raise Problem(413, f"the form holds {_FIELDS} fields that are not files, or more. Leave them out.")
        if self._is_file:
            self.contents.append(bytearray())
        else:
            self.fields.append(self._options().get(b"name", b""))

    def _file_name(self) -> bytes | None:
        """Give the part's file name; b"" where it has one in another form (RFC 5987), or an empty one."""
        if b"filename*=" in self._headers.get(b"content-disposition", b"").lower():
            return b""
        return self._options().get(b"filename")

    def _options(self) -> dict[bytes, bytes]:
        return parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))[1]

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.contents[-1] += data[start:end]

    def _end_part(self) -> None:
        """Forget what a browser sends for a file input without a choice: an empty file without a name."""
        if self._is_file and not self.contents[-1] and not self._file_name():
            self.contents.pop()
            self.fields.append(self._options().get(b"name", b""))

    def _end(self) -> None:
        self.is_complete = True
