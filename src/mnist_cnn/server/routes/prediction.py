"""`POST /predict`: images in, digits out."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import cv2
from fastapi import APIRouter
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from mnist_cnn.reading.recognizer import Reason
from mnist_cnn.server.images import contents_of
from mnist_cnn.server.model_facts import ModelSummary
from mnist_cnn.server.problems import Problem, documented
from mnist_cnn.server.routes.direct import DirectRoute
from mnist_cnn.server.routes.requests import ManyImages, OneImage, Query, describe_request, query_of
from mnist_cnn.server.service import get_service, note_images

if TYPE_CHECKING:
    from mnist_cnn.server.reader import Seen


class Prediction(BaseModel):
    """One image, read."""

    digit: int = Field(ge=0, description="Index of the most probable class; the digit itself if classes are digits.")
    label: str = Field(description="Name of that class.")
    confidence: float = Field(ge=0, le=1, description="Calibrated probability of that class.")
    accepted: bool = Field(description="Whether there is one digit, read with enough confidence.")
    reason: Reason | None = Field(
        default=None, description="Why it is rejected. " + " ".join(f"`{each}`: {each.text}" for each in Reason)
    )
    explanation: str | None = Field(default=None, description="The reason in words.")
    probabilities: list[float] = Field(description="Calibrated probability of each class, in the order of the model.")
    picture: str | None = Field(
        default=None, description="What the network saw: a 28×28 PNG in base64, with ?picture=true."
    )


class PredictAnswer(BaseModel):
    """One prediction per image, in order."""

    predictions: list[Prediction]
    model: ModelSummary


_DECIMALS = 6  # of a probability: more than the network's float32 is good for
_SWITCH = {"true": True, "1": True, "false": False, "0": False}
_PICTURE = Query(
    "picture", "Whether to include what the network saw of each image.", {"type": "boolean", "default": False}
)

_SEVEN = (  # a digit, 28×28, light on black
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAAq0lEQVR4nGNgGHag+tt/OPhWgyZ5/z8SeAwVZIHSBUWcUJasBMNp"
    "XOYzHfr/3wmXpPHv/5eZcUnO+v8/C5ec2Pv/7wTgVqBJxggwLP2AQyP79f+/tXGZ6vXv/25GHHKMW///98elUePH/zscCC6qg1LZ"
    "Geb+wKFR4MX/T1K4TE35/38hLjmWM///WOKStPv7/xjOYF3x/388LjnmW/+f8uKSZCi/F4BTDhMAADuBTCFsIF8YAAAAAElFTkSu"
    "QmCC"
)

router = APIRouter(tags=["predict"], route_class=DirectRoute)


@router.post(
    "/predict",
    response_model=PredictAnswer,
    responses=documented(400, 401, 408, 413, 415, 422, 503),
    openapi_extra=describe_request(OneImage, ManyImages, example=_SEVEN, queries=[_PICTURE]),
    summary="Read digits",
)
async def predict(request: Request) -> Response:
    """Read the digit on one image, or on each of many in a form or in JSON. The answer keeps their order."""
    with_pictures = _wants_pictures(request)
    images = (await contents_of(request)).images
    note_images(request, len(images))
    service = get_service(request)
    seen = await service.reader.read(images)
    predictions = [_prediction(each, with_pictures) for each in seen]
    return Response(
        to_json({"predictions": predictions, "model": service.facts.summary}), media_type="application/json"
    )


def _wants_pictures(request: Request) -> bool:
    wanted = query_of(request, [_PICTURE]).get("picture", "false")
    if wanted not in _SWITCH:
        raise Problem(422, f"picture = {wanted!r:.40} is not valid. Valid: ?picture=true or ?picture=false.")
    return _SWITCH[wanted]


def _prediction(seen: Seen, with_picture: bool) -> dict[str, Any]:
    """Return one `Prediction` as a dictionary."""
    reading = seen.reading
    prediction = {
        "digit": reading.digit,
        "label": reading.label,
        "confidence": round(reading.confidence, _DECIMALS),
        "accepted": reading.accepted,
        "reason": reading.reason or None,
        "explanation": Reason(reading.reason).text if reading.reason else None,
        "probabilities": [round(each, _DECIMALS) for each in reading.probabilities.tolist()],
    }
    if with_picture:
        prediction["picture"] = base64.b64encode(cv2.imencode(".png", seen.picture)[1].tobytes()).decode("ascii")
    return prediction
