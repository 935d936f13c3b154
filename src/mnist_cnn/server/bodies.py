"""The body of a request: decompressed, and parsed if it is JSON."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request

from mnist_cnn.errors import first_line
from mnist_cnn.server.problems import RETRY_SOON, Problem
from mnist_cnn.server.service import get_settings, hold

_WINDOW_BITS = {"gzip": 31, "deflate": 15}  # as zlib names the two containers; "deflate" means zlib's (RFC 9110, 8.4.1)


async def read_body(request: Request) -> bytes:
    """Read a request's body to its end, and decompress it.

    Raises:
        Problem: Its compression is unknown (415) or damaged (400), it is too large (413), or other requests leave no
            memory for it (503).
    """
    body = await request.body()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOW_BITS:
        valid = ", ".join(_WINDOW_BITS)
        detail = f"Content-Encoding {encoding[:20]!r} is not supported. Valid: {valid}, or no compression."
        raise Problem(415, detail, {"Accept-Encoding": valid})
    limit = get_settings(request).max_body
    plain = await asyncio.to_thread(_decompress, body, encoding, limit)
    if len(plain) > limit:
        raise Problem(413, f"the body has more than {limit} bytes after decompression. Send fewer images at once.")
    if not hold(request, len(plain)):
        raise Problem(503, "other requests use all memory for bodies. Try again in 1 s.", RETRY_SOON)
    return plain


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Decompress a body, up to one byte more than the limit."""
    stream = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error:
        raise Problem(400, f"the body is not valid {encoding}. Compress it again, or omit Content-Encoding.") from None
    if len(plain) <= limit and (not stream.eof or stream.unused_data):
        raise Problem(400, f"the body's {encoding} data is cut off or followed by other data. Send it again.")
    return plain


def parse_json(text: bytes, most: int) -> Any:
    """Parse JSON (RFC 8259) in UTF-8, without NaN; the parser limits nesting and the digits of a number.

    Args:
        text: All of it.
        most: Most values, including lists. They are counted first, because parsing more would hold up all other
            requests, and parsed values take up to twenty times the memory of their text.

    Raises:
        Problem: It is not JSON (400), or has more values (413).
    """
    if text.count(b",") + text.count(b"[") > most:
        raise Problem(413, f"the JSON has more than {most:,} values. Send fewer images, or send them as files.")
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:  # its message names line and column, and quotes nothing
        raise Problem(400, f"this is not JSON: {first_line(error)}. Send it in UTF-8, without NaN.") from None
