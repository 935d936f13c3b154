"""`GET /health/live` and `/health/ready`, for whoever starts, stops and balances servers."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mnist_cnn.server.problems import documented
from mnist_cnn.server.routes.direct import DirectRoute
from mnist_cnn.server.schemas import Health
from mnist_cnn.server.service import get_reader

router = APIRouter(prefix="/health", tags=["health"], route_class=DirectRoute)


@router.get("/live", response_model=Health, summary="Does the process answer?")
async def live(request: Request) -> Response:
    """Answer 200 for as long as the process can answer at all: restart it where this fails."""
    return Response('{"status":"alive"}', media_type="application/json")


@router.get("/ready", response_model=Health, responses=documented(503), summary="Can it read digits?")
async def ready(request: Request) -> Response:
    """Answer 200 once the model is loaded, else 503: send requests elsewhere."""
    get_reader(request)
    return Response('{"status":"ready"}', media_type="application/json")
