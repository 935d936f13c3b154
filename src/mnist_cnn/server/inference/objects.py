"""The protocol's objects: what goes in is checked here, what comes out is documented.

Objects and `parameters` may hold keys that are not known here: other servers' clients send priorities, timeouts and
words of their own, which this server ignores, as the protocol allows. Shared memory alone is refused, because a client
that asks for it looks for the data there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mnist_cnn.server.inference.tensors import ProtocolError

_LONGEST_NAME = 100  # characters of a name that a message repeats

EXAMPLE = {
    "id": "42",
    "inputs": [{"name": "image", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": [0] * 784}],
    "outputs": [{"name": "probabilities", "parameters": {"classification": 3}}, {"name": "accepted"}],
}  # of a request

Datatype = Literal["FP32", "UINT8"]  # of the input
Size = Annotated[int, Field(ge=0)]


class _Object(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, protected_namespaces=())


class _Parameters(_Object):
    @model_validator(mode="before")
    @classmethod
    def _refuse_shared_memory(cls, given: Any) -> Any:
        given = {} if given is None else given
        for name in given if isinstance(given, dict) else ():
            if name.startswith("shared_memory_"):
                raise ValueError("shared memory is not read or written here. Send the data in the request")
        return given


class InputParameters(_Parameters):
    """How an input's data come."""

    binary_data_size: Size | None = Field(default=None, description="Bytes of its data after the JSON.")


class RequestInput(_Object):
    """The input tensor."""

    name: Literal["image"]
    shape: list[Size] = Field(description="[n, 28, 28, 1]; n images.", min_length=1, max_length=8, fail_fast=True)
    datatype: Datatype = Field(description="FP32 or UINT8; grey levels 0 to 255 either way.")
    parameters: InputParameters = InputParameters()
    data: list[Any] | None = Field(default=None, description="All elements row by row, in one list or in nested ones.")


class OutputParameters(_Parameters):
    """How an output is wanted."""

    binary_data: bool | None = Field(default=None, description="As bytes after the JSON; none: as the request says.")
    classification: int | None = Field(default=None, description="How many of the best classes, as value:index:label.")


class RequestOutput(_Object):
    """An output that is wanted."""

    name: str
    parameters: OutputParameters = OutputParameters()


class RequestParameters(_Parameters):
    """How all outputs are wanted."""

    binary_data_output: bool | None = Field(default=None, description="Whether outputs come as bytes after the JSON.")


class InferRequest(_Object):
    """Images to read."""

    id: str | None = Field(default=None, max_length=1024, description="Comes back with the answer.")
    parameters: RequestParameters = RequestParameters()
    inputs: list[RequestInput] = Field(min_length=1, max_length=1, fail_fast=True)
    outputs: Annotated[list[RequestOutput], Field(max_length=8, fail_fast=True)] | None = Field(
        default=None, description="Or all."
    )


class ResponseParameters(BaseModel):
    """How an output comes."""

    binary_data_size: int | None = Field(default=None, description="Bytes of its data after the JSON.")


class ResponseOutput(BaseModel):
    """One output tensor."""

    name: str
    datatype: str
    shape: list[int]
    parameters: ResponseParameters | None = None
    data: list[Any] | None = None


class InferResponse(_Object):
    """Images, read."""

    model_name: str
    model_version: str
    id: str | None = Field(default=None, description="The request's.")
    outputs: list[ResponseOutput]


class TensorMetadata(BaseModel):
    """One tensor of the model."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1 where any size will do: the number of images.")


class ModelMetadata(BaseModel):
    """The model's tensors."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """Whether the server answers."""

    live: bool


class Ready(BaseModel):
    """Whether the server can read digits."""

    ready: bool


class ModelReady(BaseModel):
    """Whether a model can be asked."""

    name: str
    ready: bool


class IndexEntry(BaseModel):
    """One model that the server has."""

    name: str
    version: str
    state: str
    reason: str


class Error(BaseModel):
    """What went wrong."""

    error: str = Field(description="One sentence or two: what is wrong, what would be valid, what to do next.")


def request_schema() -> dict[str, Any]:
    """Give the JSON schema of a request, its definitions put where they are used: OpenAPI keeps its own elsewhere."""
    schema = InferRequest.model_json_schema()
    definitions = schema.pop("$defs")

    def without_references(node: Any) -> Any:
        if isinstance(node, list):
            return [without_references(each) for each in node]
        if not isinstance(node, dict):
            return node
        target = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
        return {key: without_references(each) for key, each in {**target, **node}.items() if key != "$ref"}

    inlined: dict[str, Any] = without_references(schema)
    return inlined


def parse_request(value: Any) -> InferRequest:
    """Check parsed JSON.

    Raises:
        ProtocolError: It is no request; says why, without repeating what may be a picture.
    """
    try:
        return InferRequest.model_validate(value)
    except ValidationError as error:
        raise ProtocolError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    if first["type"] == "value_error":  # one of our own
        return f"{place}: {first['ctx']['error']}"
    if first["type"] == "missing":
        return f"{place} is missing. Send a request such as /docs shows."
    if first["type"] == "literal_error":
        value = f" = {first['input'][:_LONGEST_NAME]!r}" if isinstance(first["input"], str) else ""
        return f"{place}{value} is not valid. Valid: {_choices(first['ctx']['expected'])}."
    return f"{place or 'the request'} is not valid: {first['msg'][0].lower()}{first['msg'][1:]}."


def _choices(expected: str) -> str:
    """Write Pydantic's "'FP32' or 'UINT8'" as a list of names."""
    return expected.replace("'", "").replace(" or ", ", ")
