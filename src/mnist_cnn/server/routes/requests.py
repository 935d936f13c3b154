"""What requests with images may contain: its description for the documentation, and the parameters of the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from mnist_cnn.server.images import texts_by_name


class OneImage(BaseModel):
    """One image: base64 of a file, rows of grey levels 0 to 255, or one list of 784."""

    model_config = ConfigDict(extra="forbid")

    image: str | list[list[float]] | list[float]


class ManyImages(BaseModel):
    """Several images, in any mixture of forms."""

    model_config = ConfigDict(extra="forbid")

    images: list[str | list[list[float]] | list[float]] = Field(min_length=1)


class Query(NamedTuple):
    """A parameter of the query."""

    name: str
    description: str
    schema: Mapping[str, Any]


def query_of(request: Request, queries: Sequence[Query]) -> Mapping[str, str]:
    """Return the parameters of a request's query by name.

    Args:
        request: Any.
        queries: All that the route understands.

    Raises:
        Problem: There is another one, or one of them twice (422).
    """
    if not request.scope["query_string"]:
        return {}
    names = [query.name for query in queries]
    return texts_by_name(request.query_params.multi_items(), names, "parameter", "query")


_FILE = {"type": "string", "format": "binary"}


def describe_request(
    one: type[OneImage],
    many: type[ManyImages],
    *,
    example: str,
    queries: Sequence[Query],
    fields: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe the query and the bodies of a route that reads images, as OpenAPI does.

    Args:
        one: JSON with one image.
        many: JSON with several.
        example: A PNG file in base64.
        queries: All parameters of the query.
        fields: The text fields of a form, by name, with their schemas.
    """
    form = {"type": "object", "properties": {"file": {"type": "array", "items": _FILE}, **(fields or {})}}
    return {
        "parameters": [{"in": "query", **query._asdict()} for query in queries],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"oneOf": [one.model_json_schema(), many.model_json_schema()]},
                    "example": {"images": [example, f"data:image/png;base64,{example}"]},
                },
                "image/*": {"schema": _FILE},
                "application/octet-stream": {"schema": _FILE},
                "multipart/form-data": {"schema": form},
            },
        },
    }
