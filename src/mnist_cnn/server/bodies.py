"""The body of a request, its compression taken off."""

from __future__ import annotations

import asyncio
import io
import zlib

from starlette.requests import Request

from mnist_cnn.server.problems import RETRY_SOON, Problem
from mnist_cnn.server.service import hold

_WINDOW_BITS = {"gzip": 31, "deflate": 15}  # as zlib names the two containers; "deflate" means zlib's (RFC 9110, 8.4.1)
_STEP = 65_536  # bytes that are decompressed at a time, at most: a millisecond's work


async def read_body(request: Request, limit: int) -> bytes:
    """Read a request's body to its end.

    Args:
        request: Not read yet.
        limit: Bytes that it may have once it is not compressed any more. Compressed, the guards limit it.

    Raises:
        Problem: It is compressed in another way than by gzip or deflate (415), is damaged (400), or too large (413);
            or what is held of other requests leaves no memory for it (503).
    """
    body = await request.body()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOW_BITS:
        valid = ", ".join(_WINDOW_BITS)
        detail = f"Content-Encoding {encoding[:20]!r} is not read here. Valid: {valid}, or none at all."
        raise Problem(415, detail, {"Accept-Encoding": valid})
    return await _decompress(request, body, encoding, limit)


async def _decompress(request: Request, body: bytes, encoding: str, limit: int) -> bytes:
    """Take compression off in steps, in a thread; the memory of each step is counted before it is taken."""
    stream = zlib.decompressobj(_WINDOW_BITS[encoding])
    packed, plain = io.BytesIO(body), io.BytesIO()  # neither copies what it is given or gives
    step = min(_STEP, limit // 8 or 1)  # zlib takes 0 for any number
    part = b"-"
    while not stream.eof and (part or stream.unconsumed_tail or packed.tell() < len(body)):
        _hold(request, step)
        try:
            part = await asyncio.to_thread(_next_part, stream, packed, step)
        except zlib.error:
            detail = f"the body is no {encoding}. Compress it again, or leave Content-Encoding out."
            raise Problem(400, detail) from None
        _hold(request, len(part) - step)
        plain.write(part)
        if plain.tell() > limit:
            detail = f"the body has more than {limit} bytes when it is decompressed. Send fewer images at once."
            raise Problem(413, detail)
    if not stream.eof or stream.unused_data or packed.tell() < len(body):
        raise Problem(400, f"the body is {encoding} cut off, or with something after its end. Send it again, whole.")
    return plain.getvalue()


def _next_part(stream: zlib._Decompress, packed: io.BytesIO, most: int) -> bytes:
    """Give some of what comes next, at most so many bytes; none at the end, or where nothing is complete yet."""
    return stream.decompress(stream.unconsumed_tail or packed.read(_STEP), most)


def _hold(request: Request, count: int) -> None:
    """Count memory as taken, or, where `count` is negative, as given back."""
    if not hold(request, count):
        raise Problem(503, "other requests take all the memory that there is. Try again in 1 s.", RETRY_SOON)
