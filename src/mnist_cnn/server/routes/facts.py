"""`GET /model`: what reads here, for programs and for people."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from mnist_cnn.server.markup import write_page, write_table
from mnist_cnn.server.problems import Problem, documented
from mnist_cnn.server.routes.direct import DirectRoute
from mnist_cnn.server.schemas import ModelCard
from mnist_cnn.server.service import get_card, get_model

_MARKDOWN = "text/markdown"
_HTML = "text/html"
_VARY = {"Vary": "Accept"}

_BODY = """<header>
<h1>The model that reads here</h1>
<p><a href="./">Drawing page</a> · <a href="docs">API</a></p>
</header>
<main>
{facts}
{card}
</main>"""

router = APIRouter(tags=["model"], route_class=DirectRoute)


@router.get(
    "/model",
    response_model=ModelCard,
    responses={200: {"content": {_MARKDOWN: {}, _HTML: {}}}, **documented(404, 503)},
    summary="What reads here",
)
async def model(request: Request) -> Response:
    """Describe the model and the server's limits; as a page where a browser asks.

    On `Accept: text/markdown`, give what the model's makers say of it.

    Raises:
        Problem: Markdown was asked for, and the model has no such card (404).
    """
    facts, card = get_model(request), get_card(request)
    accepted = request.headers.get("accept", "")
    if _MARKDOWN in accepted:
        if card is None:
            raise Problem(404, "this model has no card in Markdown. Ask for application/json.")
        return Response(card, media_type=_MARKDOWN, headers=_VARY)
    if _HTML in accepted:
        return Response(render(facts, card), media_type=_HTML, headers=_VARY)
    return Response(facts.model_dump_json(), media_type="application/json", headers=_VARY)


def render(facts: ModelCard, card: str | None) -> str:
    """Write a page of what is known of the model, its card as the text that it is."""
    text = f"<h2>Its card</h2><pre>{escape(card)}</pre>" if card else ""
    body = _BODY.format(facts=write_table("Facts", _rows(facts)), card=text)
    return write_page(f"The model of {facts.name}", body)


def _rows(facts: BaseModel, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Give name, value and meaning of each fact, as HTML."""
    for name, field in type(facts).model_fields.items():
        value = getattr(facts, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{name}.")
        else:
            yield f"<code>{prefix}{name}</code>", escape(_text(value)), escape(field.description or "")


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
