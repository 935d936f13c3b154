"""An API key that every request must bring, except for what a person or an orchestrator needs before having one."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from mnist_cnn.server import counters as metrics
from mnist_cnn.server.guards.refusals import find_header, has_long_body, refuse
from mnist_cnn.server.paths import find_path, is_open

if TYPE_CHECKING:
    from pydantic import SecretStr
    from starlette.types import ASGIApp, Receive, Scope, Send

_BEARER = b"bearer "
_MISSING = "this server wants an API key. Send it as the header X-API-Key, or as Authorization: Bearer."
_WRONG = "the API key is not this server's. Send the one it was started with."


class Keys:
    """Refuses requests without the key. Preflights bring none: browsers send them without any of the page's headers."""

    def __init__(self, app: ASGIApp, key: SecretStr) -> None:
        self.app = app
        self._key = key.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it with 401."""
        if scope["type"] != "http" or is_open(find_path(scope)):
            await self.app(scope, receive, send)
            return
        given = find_key(scope)
        if given is not None and hmac.compare_digest(given, self._key):  # takes as long for a key that is nearly right
            await self.app(scope, receive, send)
            return
        metrics.count_refusal("key")
        detail = _MISSING if given is None else _WRONG
        challenge = {"WWW-Authenticate": "Bearer"}
        await refuse(scope, receive, send, 401, detail, challenge, unread=has_long_body(scope))


def find_key(scope: Scope) -> bytes | None:
    """Give the key that a request brings."""
    given = find_header(scope, b"x-api-key")
    if given is not None:
        return given.strip()
    authorization = find_header(scope, b"authorization") or b""
    return authorization[len(_BEARER) :].strip() if authorization[: len(_BEARER)].lower() == _BEARER else None
