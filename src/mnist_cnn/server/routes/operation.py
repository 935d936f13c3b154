"""`/health/live`, `/health/ready` and `/metrics`: for those who start, balance and watch servers."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from mnist_cnn.server import counters
from mnist_cnn.server.problems import documented
from mnist_cnn.server.routes.direct import DirectRoute
from mnist_cnn.server.service import get_service

health = APIRouter(prefix="/health", tags=["health"], route_class=DirectRoute)
router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """The state of the server."""

    status: Literal["alive", "ready"]


@health.get("/live", response_model=Health, summary="Does the process answer?")
async def live(request: Request) -> Response:
    """Answer 200 as long as the process can answer at all. Restart it when this fails."""
    return Response('{"status":"alive"}', media_type="application/json")


@health.get("/ready", response_model=Health, responses=documented(503), summary="Can it read digits?")
async def ready(request: Request) -> Response:
    """Answer 200 once the model is loaded, otherwise 503. Send requests elsewhere until then."""
    get_service(request)
    return Response('{"status":"ready"}', media_type="application/json")


@router.get(
    "/metrics",
    summary="Counts for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Text format of Prometheus."}, **documented(401)},
)
def read_metrics() -> Response:  # not async: with several workers it reads files
    """Return all counts: requests, latencies, images, batches, refusals."""
    return Response(counters.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
