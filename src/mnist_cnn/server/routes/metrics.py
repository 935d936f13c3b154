"""`/metrics`: the server's counts, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from mnist_cnn.server import counters as metrics

router = APIRouter(tags=["operation"])

_EXAMPLE = 'mnist_cnn_requests_total{method="POST",route="/predict",status="200"} 42.0'


@router.get(
    "/metrics",
    summary="Counts for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": _EXAMPLE}}, "description": "Prometheus' text form."}},
)
def read_metrics() -> Response:  # not async: with several workers it reads files
    """Give all counts: requests, latencies, images, batches, refusals."""
    return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)
