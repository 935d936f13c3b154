"""Valid requests, and thousands of damaged ones made from them, the same each time."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image, PngImagePlugin

from server.drawn import digit, drawing, file_of

MARK = "what-was-in-the-picture"  # in the PNG files and in the names of files
_BOUNDARY = "----digits"
_KINDS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_PIECES = (
    b"[" * 500, b'{"a":' * 500, b"\xff\xfe", b"\x00" * 64, b"\r\n\r\n", b'"', b"\\ud800", b"%00", b"1e999", b"NaN",
    b"-1", b"null", b"99999999999999999999", f"../../{MARK}".encode(),
)  # fmt: skip
_TYPES = (
    "image/png", "image/", "application/json", "application/json; charset=utf-16", "multipart/form-data",
    "multipart/form-data; boundary=", f'multipart/form-data; boundary="{_BOUNDARY[:-1]}"', "text/plain", "",
    "application/octet-stream", "*/*", "application/x-www-form-urlencoded", "image/svg+xml", "\xff",
)  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """A request whose body arrives completely, or whose client leaves before its end."""

    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    method: str = "POST"
    leaves: bool = False

    @property
    def parts(self) -> list[bytes]:
        """What arrives, in two parts; an empty part ends it."""
        middle = len(self.body) // 2
        return [part for part in (self.body[:middle], self.body[middle:]) if part] + ([] if self.leaves else [b""])


def whole_requests() -> list[Sent]:
    """Return requests that a server answers with success, of every form that it takes."""
    picture = drawing("7", scale=2)
    files = {kind: file_of(picture, kind) for kind in _KINDS} | {"PNG": marked_png()}
    text = base64.b64encode(files["PNG"]).decode()
    rows = digit("7").tolist()
    row = digit("7").ravel().tolist()
    infer = "/v2/models/digits/infer"
    return [
        *(Sent("/predict", {"Content-Type": f"image/{kind.lower()}"}, file) for kind, file in files.items()),
        Sent("/predict", {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}, form(files)),
        *(_json("/predict", value) for value in ({"image": text}, {"images": [text, rows]}, {"image": row})),
        *(
            _json("/read", {"image": text, "length": "2-4", "pattern": pattern})
            for pattern in (r"[1-9]\d*", "7?(1|2){2,}")
        ),
        Sent(
            "/read",
            {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"},
            text_field("length", "3") + form(files),
        ),
        _json("/collect", {"image": text, "label": "7"}),
        _json(infer, {"inputs": [tensor(data=row, datatype="UINT8")], "id": "a", "outputs": [{"name": "digit"}]}),
        binary_tensor(infer),
    ]


def damaged_requests(seed: int) -> Iterator[Sent]:
    """Yield damaged requests without end: each is a whole one after one to four changes."""
    chance = random.Random(seed)  # noqa: S311  # the same each time
    whole = whole_requests()
    while True:
        sent = chance.choice(whole)
        for _ in range(chance.choice((1, 1, 2, 4))):
            sent = chance.choice(_CHANGES)(sent, whole, chance)
        yield replace(sent, leaves=chance.random() < 0.02)


def marked_png() -> bytes:
    """Return a PNG file that carries `MARK` as text."""
    file, words = io.BytesIO(), PngImagePlugin.PngInfo()
    words.add_text("Comment", MARK)
    Image.fromarray(drawing("7", scale=2)).save(file, "PNG", pnginfo=words)
    return file.getvalue()


def form(files: dict[str, bytes]) -> bytes:
    """Write files as multipart/form-data."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{MARK}.png"\r\n\r\n'.encode()
    return b"".join(head + file + b"\r\n" for file in files.values()) + f"--{_BOUNDARY}--\r\n".encode()


def text_field(name: str, value: str) -> bytes:
    """Write a text field before the files of a form."""
    return f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def tensor(**values: object) -> dict[str, object]:
    """Return one input of the Open Inference Protocol."""
    return {"name": "image", "shape": [1, 28, 28, 1], **values}


def binary_tensor(path: str) -> Sent:
    """Return a request of the Open Inference Protocol whose tensor follows as bytes."""
    data = digit("1").astype(np.float32).tobytes()
    head = json.dumps({"inputs": [tensor(datatype="FP32", parameters={"binary_data_size": len(data)})]}).encode()
    return Sent(path, {"Inference-Header-Content-Length": str(len(head))}, head + data)


def _json(path: str, value: object) -> Sent:
    return Sent(path, {"Content-Type": "application/json"}, json.dumps(value).encode())


Change = Callable[[Sent, list[Sent], random.Random], Sent]


def _flip(sent: Sent, _whole: list[Sent], chance: random.Random) -> Sent:
    body = bytearray(sent.body)
    for _ in range(min(len(body), chance.choice((1, 3, 30)))):
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return replace(sent, body=bytes(body))


def _cut_off(sent: Sent, _whole: list[Sent], chance: random.Random) -> Sent:
    return replace(sent, body=sent.body[: chance.randrange(len(sent.body) + 1)])


def _insert(sent: Sent, _whole: list[Sent], chance: random.Random) -> Sent:
    place = chance.randrange(len(sent.body) + 1)
    return replace(sent, body=sent.body[:place] + chance.choice(_PIECES) + sent.body[place:])


def _splice(sent: Sent, whole: list[Sent], chance: random.Random) -> Sent:
    other = chance.choice(whole).body
    return replace(sent, body=sent.body[: chance.randrange(len(sent.body) + 1)] + other[chance.randrange(len(other)) :])


def _other_type(sent: Sent, _whole: list[Sent], chance: random.Random) -> Sent:
    return replace(sent, headers={**sent.headers, "Content-Type": chance.choice(_TYPES)})


_CHANGES: tuple[Change, ...] = (_flip, _cut_off, _insert, _splice, _other_type)
