"""`POST /read`: images in, whole numbers out."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from mnist_cnn.errors import SettingError
from mnist_cnn.reading.numbers import Box, NumberReason
from mnist_cnn.reading.numbers.constraints import VALID_LENGTH, VALID_PATTERN
from mnist_cnn.server.images import contents_of
from mnist_cnn.server.model_facts import ModelSummary
from mnist_cnn.server.problems import Problem, documented
from mnist_cnn.server.routes.direct import DirectRoute
from mnist_cnn.server.routes.requests import ManyImages, OneImage, Query, describe_request, query_of
from mnist_cnn.server.service import get_service, note_images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnist_cnn.reading.numbers import NumberReading

_LENGTH = "Number of digits, such as 5 or 3-6. Default: any."
_PATTERN = r"Regular expression over digits that the whole number matches, such as [1-9]\d{4}. Default: any digits."
_TEXT = {"type": "string"}
_SHOWN = 60  # characters of a value, in messages


class DigitRead(BaseModel):
    """One digit of a number."""

    text: str = Field(description="The digit.")
    confidence: float = Field(ge=0, le=1, description="Its probability in its place if the other digits are right.")
    box: Box


class NumberRead(BaseModel):
    """One image, read."""

    text: str = Field(description="The most probable number that fits; empty if there is none.")
    confidence: float = Field(ge=0, le=1, description="Calibrated probability that all of it is right, given it fits.")
    accepted: bool = Field(description="Whether there is one number, read with enough confidence.")
    reason: NumberReason | None = Field(
        default=None, description="Why it is rejected. " + " ".join(f"`{each}`: {each.text}" for each in NumberReason)
    )
    explanation: str | None = Field(default=None, description="The reason in words.")
    digits: list[DigitRead] = Field(description="Each digit of the text, from left to right.")


class ReadAnswer(BaseModel):
    """One reading per image, in order."""

    readings: list[NumberRead]
    model: ModelSummary


class KnownNumber(BaseModel):
    """What is known about the numbers of a request."""

    length: int | str | tuple[int, int] | None = Field(default=None, description=_LENGTH)
    pattern: str | None = Field(default=None, description=_PATTERN)


class OneNumber(OneImage, KnownNumber):
    """One image, and what is known about its number."""


class ManyNumbers(ManyImages, KnownNumber):
    """Several images, and what is known about their numbers."""


_FIELDS = ("length", "pattern")
_QUERIES = [Query("length", _LENGTH, _TEXT), Query("pattern", _PATTERN, _TEXT)]
_NUMBER = (  # 710, dark on white
    "iVBORw0KGgoAAAANSUhEUgAAAEQAAAAcAQAAAADwtSSFAAAAkklEQVR42mWQsQ3CQBAE588OyOwCCL4NMnfGZ7ThUpxRBpZwAUeE"
    "kdAvwfstEBuNVrrd1QVR9DCqDGAEINOok5/dMhnwCTNMMM+0QUuGq4N0Xzt1FzdYgH7AgDZteYemJk+geMSg39vSV+9Giv8eQ6UM"
    "hHn5uX1T9rXFSGC8ANZUU049VjhGDKcsRU/pJsnD/o0PymI0r8DKTuAAAAAASUVORK5CYII="
)

router = APIRouter(tags=["read"], route_class=DirectRoute)


@router.post(
    "/read",
    response_model=ReadAnswer,
    responses=documented(400, 401, 408, 413, 415, 422, 503),
    openapi_extra=describe_request(
        OneNumber, ManyNumbers, example=_NUMBER, queries=_QUERIES, fields=dict.fromkeys(_FIELDS, _TEXT)
    ),
    summary="Read whole numbers",
)
async def read(request: Request) -> Response:
    """Read the number on one image, or on each of many in a form or in JSON. The answer keeps their order.

    What is known about the numbers, their length or a pattern, restricts what can be read. It is the same for all
    images of a request, and comes with the query, the form or the JSON.
    """
    query = query_of(request, _QUERIES)
    contents = await contents_of(request, _FIELDS)
    note_images(request, len(contents.images))
    length, pattern = (_known(query, contents.fields, name) for name in _FIELDS)
    service = get_service(request)
    try:
        readings = await service.reader.read_numbers(contents.images, length, pattern)
    except SettingError as error:
        raise Problem(422, str(error)) from None
    answer = {"readings": [_number(each) for each in readings], "model": service.facts.numbers}
    return Response(to_json(answer), media_type="application/json")


def _known(query: Mapping[str, str], fields: Mapping[str, Any], name: str) -> Any:
    """Return the value of a field in the query or in the body; None where it is empty, as in forms."""
    given = [value for value in (query.get(name), fields.get(name)) if value not in (None, "")]
    if len(given) > 1:
        raise Problem(422, f"{name} is both in the query and in the body. Send it once.")
    value = given[0] if given else None
    if value is not None:
        _check_type(name, value)
    return value


def _check_type(name: str, value: Any) -> None:
    """Refuse a value of JSON that can be neither, in JSON's words: the reader knows Python's only."""
    is_number = all(type(each) is int for each in (value if isinstance(value, list) else [value]))
    if isinstance(value, str) or (name == "length" and is_number):
        return
    part = value[:_SHOWN] if isinstance(value, list) else value  # a body may contain a million values
    shown = textwrap.shorten(json.dumps(part), _SHOWN, placeholder="…")
    wrong = {"length": f"is not valid. {VALID_LENGTH}", "pattern": f"is not text. {VALID_PATTERN}"}
    raise Problem(422, f"{name} = {shown} {wrong[name]}.")


def _number(reading: NumberReading) -> dict[str, Any]:
    """Return one `NumberRead` as a dictionary."""
    reason = NumberReason(reading.reason) if reading.reason else None
    return {**reading.to_dict(), "reason": reason, "explanation": reason and reason.text}
