"""The body of a request, its compression taken off."""

from __future__ import annotations

import zlib

from starlette.requests import Request

from mnist_cnn.server.problems import RETRY_SOON, Problem
from mnist_cnn.server.state import hold

_WINDOW_BITS = {"gzip": 31, "deflate": 15}  # as zlib names the two containers; "deflate" means zlib's (RFC 9110, 8.4.1)


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
    plain = decompress(body, encoding, limit)
    if not hold(request, len(plain)):
        raise Problem(503, "other requests take all the memory that there is. Try again in 1 s.", RETRY_SOON)
    return plain


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Take compression off, without ever holding more than `limit` bytes of what a bomb would become.

    Raises:
        Problem: 413 or 415, or 400, as for `read_body`.
    """
    if encoding not in _WINDOW_BITS:
        valid = ", ".join(_WINDOW_BITS)
        detail = f"Content-Encoding {encoding[:20]!r} is not read here. Valid: {valid}, or none at all."
        raise Problem(415, detail, {"Accept-Encoding": valid})
    stream = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error:
        raise Problem(400, f"the body is no {encoding}. Compress it again, or leave Content-Encoding out.") from None
    if len(plain) > limit:
        raise Problem(413, f"the body has more than {limit} bytes when it is decompressed. Send fewer images at once.")
    if not stream.eof or stream.unused_data:
        raise Problem(400, f"the body is {encoding} cut off, or with something after its end. Send it again, whole.")
    return plain
