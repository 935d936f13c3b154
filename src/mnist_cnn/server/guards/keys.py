"""An API key that every request must send, except for what people and orchestrators need before they have one."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import TYPE_CHECKING

from mnist_cnn.server import counters
from mnist_cnn.server.guards.refusals import find_header, refuse
from mnist_cnn.server.paths import find_path

if TYPE_CHECKING:
    from pydantic import SecretStr
    from starlette.types import ASGIApp, Receive, Scope, Send

_BEARER = b"bearer "
_MISSING = "this server needs an API key. Send it as the header X-API-Key, or as Authorization: Bearer."
_WRONG = "this is not the server's API key. Send the key that the server was started with."


class Keys:
    """Refuses requests without the key. CORS preflights, which have none, are answered before.

    `open_paths` need no key; one that ends with a slash stands for all paths below it, except `/` itself.
    """

    def __init__(self, app: ASGIApp, key: SecretStr, open_paths: Collection[str]) -> None:
        self.app = app
        self._open = frozenset(open_paths)
        self._open_folders = tuple(path for path in open_paths if path.endswith("/") and path != "/")
        self._key = key.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it with 401."""
        if scope["type"] != "http" or self._is_open(find_path(scope)):
            await self.app(scope, receive, send)
            return
        given = find_key(scope)
        if given is not None and hmac.compare_digest(given, self._key):
            await self.app(scope, receive, send)
            return
        counters.count_refusal("key")
        detail = _MISSING if given is None else _WRONG
        await refuse(scope, receive, send, 401, detail, {"WWW-Authenticate": "Bearer"})

    def _is_open(self, path: str) -> bool:
        return path in self._open or path.startswith(self._open_folders)


def find_key(scope: Scope) -> bytes | None:
    """Return the key in `X-API-Key` or, without that header, in `Authorization: Bearer`; None without a key."""
    given = find_header(scope, b"x-api-key")
    if given is not None:
        return given.strip()
    bearer = find_header(scope, b"authorization") or b""
    return bearer[len(_BEARER) :].strip() if bearer[: len(_BEARER)].lower() == _BEARER else None
