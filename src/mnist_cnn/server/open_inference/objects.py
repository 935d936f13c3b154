"""The protocol's objects: requests are checked here, answers are documented.

Objects and `parameters` may have unknown keys: clients send priorities, timeouts and extensions of other servers, which
the protocol allows to ignore. Only shared memory is refused, because a client that asks for it looks for data there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mnist_cnn.server.problems import Problem

EXAMPLE = {
    "id": "42",
    "inputs": [{"name": "image", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": [0] * 784}],
    "outputs": [{"name": "probabilities", "parameters": {"classification": 3}}, {"name": "accepted"}],
}  # of a request

Size = Annotated[int, Field(ge=0)]


class _Object(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, protected_namespaces=())


class _Parameters(_Object):
    @model_validator(mode="before")
    @classmethod
    def _refuse_shared_memory(cls, given: Any) -> Any:
        given = {} if given is None else given
        if isinstance(given, dict) and any(name.startswith("shared_memory_") for name in given):
            raise ValueError("shared memory is not supported. Send the data in the request")
        return given


class InputParameters(_Parameters):
    """How the data of an input is sent."""

    binary_data_size: Size | None = Field(default=None, description="Bytes of its data after the JSON.")


class RequestInput(_Object):
    """The input tensor."""

    name: Literal["image"]
    shape: list[Size] = Field(description="[n, 28, 28, 1] for n images.", min_length=1, max_length=8, fail_fast=True)
    datatype: Literal["FP32", "UINT8"] = Field(description="FP32 or UINT8; grey levels 0 to 255 in both.")
    parameters: InputParameters = InputParameters()
    data: list[Any] | None = Field(default=None, description="All elements row by row, in one list or in nested ones.")


class OutputParameters(_Parameters):
    """The form of an output."""

    binary_data: bool | None = Field(default=None, description="As bytes after the JSON. Default: as the request says.")
    classification: int | None = Field(default=None, description="Number of best classes, as value:index:label.")


class RequestOutput(_Object):
    """A requested output."""

    name: str
    parameters: OutputParameters = OutputParameters()


class RequestParameters(_Parameters):
    """The form of all outputs."""

    binary_data_output: bool | None = Field(default=None, description="Whether outputs are bytes after the JSON.")


class InferRequest(_Object):
    """Images to read."""

    id: str | None = Field(default=None, max_length=1024, description="Repeated in the answer.")
    parameters: RequestParameters = RequestParameters()
    inputs: list[RequestInput] = Field(min_length=1, max_length=1, fail_fast=True)
    outputs: Annotated[list[RequestOutput], Field(max_length=8, fail_fast=True)] | None = Field(
        default=None, description="Default: all outputs."
    )


class ResponseOutput(BaseModel):
    """One output tensor."""

    name: str
    datatype: str
    shape: list[int]
    parameters: InputParameters | None = None
    data: list[Any] | None = None


class InferResponse(_Object):
    """Images, read."""

    model_name: str
    model_version: str
    id: str | None = Field(default=None, description="Id of the request.")
    outputs: list[ResponseOutput]


class TensorMetadata(BaseModel):
    """One tensor of the model."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1: any size, the number of images.")


class TensorModel(BaseModel):
    """The tensors of the model."""

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


class IndexEntry(BaseModel):
    """One model of the server."""

    name: str
    version: str
    state: str
    reason: str


class ProtocolProblem(BaseModel):
    """What went wrong."""

    error: str = Field(description="What is wrong, what would be valid, what to do next.")


def request_schema() -> dict[str, Any]:
    """Return the JSON schema of a request with its definitions inlined, since OpenAPI keeps its own elsewhere."""
    schema = InferRequest.model_json_schema()
    definitions = schema.pop("$defs")

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(each) for each in node]
        if not isinstance(node, dict):
            return node
        target = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
        return {key: inline(each) for key, each in {**target, **node}.items() if key != "$ref"}

    inlined: dict[str, Any] = inline(schema)
    return inlined


def parse_request(value: Any) -> InferRequest:
    """Check parsed JSON.

    Raises:
        Problem: It is not a request. The message does not repeat what may be an image.
    """
    try:
        return InferRequest.model_validate(value)
    except ValidationError as error:
        raise Problem(400, _explain(error)) from None


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    message = first["msg"].removeprefix("Value error, ")
    return f"{place or 'the request'}: {message[0].lower()}{message[1:]}. See /docs for an example."
