"""`GET /model`: the model of this server, described."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mnist_cnn.server.model_facts import ModelFacts
from mnist_cnn.server.problems import Problem, documented
from mnist_cnn.server.routes.direct import DirectRoute
from mnist_cnn.server.service import get_service

_MARKDOWN = "text/markdown"
_VARY = {"Vary": "Accept"}

router = APIRouter(tags=["model"], route_class=DirectRoute)


@router.get(
    "/model",
    response_model=ModelFacts,
    responses={200: {"content": {_MARKDOWN: {}, "text/plain": {}}}, **documented(401, 404, 503)},
    summary="Which model is this?",
)
async def model(request: Request) -> Response:
    """Describe the model and the limits of the server.

    With `Accept: text/markdown`, return the model card, if there is one. Browsers get it as plain text.
    """
    service = get_service(request)
    accepted = request.headers.get("accept", "")
    if _MARKDOWN in accepted:
        if service.card is None:
            raise Problem(404, "this model has no Markdown card. Ask for application/json.")
        return Response(service.card, media_type=_MARKDOWN, headers=_VARY)
    if "text/html" in accepted and service.card is not None:
        return Response(service.card, media_type="text/plain", headers=_VARY)
    return Response(service.facts.model_dump_json(), media_type="application/json", headers=_VARY)
