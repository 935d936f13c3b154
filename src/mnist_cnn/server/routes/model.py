"""`GET /model`: what reads here."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mnist_cnn.server.model import shipped_card
from mnist_cnn.server.problems import Problem, documented
from mnist_cnn.server.routes.direct import DirectRoute
from mnist_cnn.server.schemas import ModelCard
from mnist_cnn.server.state import get_model

_MARKDOWN = "text/markdown"

router = APIRouter(tags=["model"], route_class=DirectRoute)


@router.get(
    "/model",
    response_model=ModelCard,
    responses={200: {"content": {_MARKDOWN: {}}}, **documented(404, 503)},
    summary="What reads here",
)
async def model(request: Request) -> Response:
    """Describe the model and the server's limits; the card for people, in Markdown, on `Accept: text/markdown`.

    Raises:
        Problem: Markdown was asked for, and the model has no such card (404).
    """
    card = get_model(request)
    headers = {"Vary": "Accept"}
    if _MARKDOWN not in request.headers.get("accept", ""):
        return Response(card.model_dump_json(), media_type="application/json", headers=headers)
    if not card.shipped:
        raise Problem(404, "this model has no card in Markdown. Ask for application/json.")
    return Response(shipped_card(), media_type=_MARKDOWN, headers=headers)
