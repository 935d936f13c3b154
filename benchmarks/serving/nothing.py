"""A server that reads nothing and gives a fixed answer: its rate is the limit of the client."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

_BODY = b'{"predictions":[{"digit":0}]}'
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


class Nothing(asyncio.Protocol):
    """Takes any data that arrives together for one request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has another type

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self.transport.write(_ANSWER)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Nothing, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
