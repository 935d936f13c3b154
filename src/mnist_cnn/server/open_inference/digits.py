"""Between tensors and digits: an input becomes images, and readings become the requested outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.errors import suggest
from mnist_cnn.reading.conventions import IMAGE_SHAPES, IMAGE_SIZE
from mnist_cnn.reading.recognizer import Reading
from mnist_cnn.server.open_inference import tensors
from mnist_cnn.server.open_inference.objects import (
    InferRequest,
    InputParameters,
    RequestInput,
    RequestOutput,
    RequestParameters,
)
from mnist_cnn.server.problems import Problem

_NAMES = ("probabilities", "digit", "accepted")  # of the outputs
_OTHER_VALUES = 100  # in the JSON of a request: names, parameters and shape
_CLASSIFIED = "probabilities"
_LONGEST_SHOWN = 100  # characters of a value that a message repeats


def most_values(max_images: int) -> int:
    """Return the maximum number of values in the JSON of that many images, with each pixel in its own list."""
    return max_images * (2 * IMAGE_SIZE * IMAGE_SIZE + IMAGE_SIZE + 1) + _OTHER_VALUES


def raw_request(size: int) -> InferRequest:
    """Return the request that a body without JSON stands for: one image, all outputs as bytes.

    Args:
        size: Bytes of the body.
    """
    parameters = InputParameters(binary_data_size=size)
    image = RequestInput(name="image", shape=[1, *IMAGE_SHAPES[0]], datatype="FP32", parameters=parameters)
    return InferRequest(inputs=[image], parameters=RequestParameters(binary_data_output=True))


def images_of(tensor: RequestInput, binary: memoryview, max_images: int) -> list[NDArray[Any]]:
    """Extract the images from the input tensor.

    Args:
        tensor: The input.
        binary: The bytes after the JSON.
        max_images: Most images in one request.

    Returns:
        [28, 28] each: uint8 if all pixels are whole grey levels, otherwise float32 as they came.

    Raises:
        Problem: The tensor does not agree with its shape and datatype, or does not fit the model.
    """
    _check_shape(tensor.shape, max_images)
    size = tensor.parameters.binary_data_size
    if (size is None) == (tensor.data is None):
        raise Problem(400, "the input needs either data or the parameter binary_data_size. Send exactly one of them.")
    if len(binary) != (size or 0):
        raise Problem(400, f"{len(binary)} bytes follow the JSON, but binary_data_size is {size or 0}.")
    if tensor.data is None:
        array = tensors.from_bytes(binary, tensor.datatype, tensor.shape)
    else:
        array = tensors.from_list(tensor.data, tensor.datatype, tensor.shape)
    stack = array.reshape(-1, IMAGE_SIZE, IMAGE_SIZE)
    return list(stack) if stack.dtype == np.uint8 else [_levels(image) for image in stack]


def _check_shape(shape: Sequence[int], max_images: int) -> None:
    if tuple(shape[1:]) not in IMAGE_SHAPES:
        valid = ", ".join(str(["n", *layout]).replace("'", "") for layout in IMAGE_SHAPES)
        raise Problem(400, f"the input has shape {_shown(shape)}. Valid: {valid}, for n images.")
    if not 1 <= shape[0] <= max_images:
        raise Problem(400, f"the input has {_shown(shape[0])} images. Valid: 1 to {max_images} in one request.")


def _shown(value: object) -> str:
    return str(value)[:_LONGEST_SHOWN]


def _levels(image: NDArray[np.float32]) -> NDArray[Any]:
    """Turn whole grey levels into uint8, so that images of MNIST are recognised as such."""
    whole = (image >= 0) & (image <= 255) & (image == np.rint(image))
    return image.astype(np.uint8) if whole.all() else image


def wanted_outputs(request: InferRequest, classes: int) -> list[RequestOutput]:
    """Return the requested outputs with their parameters.

    Args:
        request: Without outputs, it asks for all.
        classes: Number of classes of the model.

    Raises:
        Problem: An output is unknown, is named twice, or does not have the requested form.
    """
    wanted = request.outputs or [RequestOutput(name=name) for name in _NAMES]
    for output in wanted:
        _check_output(output, classes)
    if len({output.name for output in wanted}) < len(wanted):
        raise Problem(400, "an output is named twice. Name each once.")
    return wanted


def _check_output(output: RequestOutput, classes: int) -> None:
    if output.name not in _NAMES:
        name = _shown(output.name)
        raise Problem(400, f"unknown output {name!r}. {suggest(name, _NAMES)}")
    count = output.parameters.classification
    if count is None:
        return
    if output.name != _CLASSIFIED:
        raise Problem(400, f"{output.name} cannot be ranked. Request the classification of {_CLASSIFIED}.")
    if not 1 <= count <= classes:
        raise Problem(400, f"classification = {_shown(count)} is not valid. Valid: 1 to {classes}.")


def outputs_of(
    readings: Sequence[Reading], wanted: Sequence[RequestOutput], class_names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Make the requested outputs of readings, in their order.

    Returns:
        By name: probabilities float32 [n, k], calibrated, or object [n, count] as their classification;
        digit int64 [n]; accepted bool [n].
    """
    outputs: Mapping[str, NDArray[Any]] = {
        "probabilities": np.stack([reading.probabilities for reading in readings]),
        "digit": np.array([reading.digit for reading in readings], np.int64),
        "accepted": np.array([reading.accepted for reading in readings], np.bool_),
    }
    return {
        output.name: classify(outputs[output.name], count, class_names)
        if (count := output.parameters.classification)
        else outputs[output.name]
        for output in wanted
    }


def classify(probabilities: NDArray[np.float32], count: int, class_names: Sequence[str]) -> NDArray[np.object_]:
    """Rank classes (Triton's extension `classification`).

    Args:
        probabilities: [n, k].
        count: Number of best classes, 1 to k.
        class_names: k.

    Returns:
        Text [n, count], "value:index:label" each, the best first; among equal ones, the lower index.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    ranked = [
        [f"{row[index]:f}:{index}:{class_names[index]}" for index in indices]
        for row, indices in zip(probabilities, best, strict=True)
    ]
    return np.array(ranked, np.object_)


def encode(
    request: InferRequest, wanted: Sequence[RequestOutput], outputs: Mapping[str, NDArray[Any]]
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Write outputs for the wire.

    Returns:
        The protocol's object of each, and the binary data of those that are requested as bytes.
    """
    default = bool(request.parameters.binary_data_output)
    heads, tails = [], []
    for output in wanted:
        array = outputs[output.name]
        head = {"name": output.name, "datatype": tensors.datatype_of(array), "shape": list(array.shape)}
        binary = output.parameters.binary_data
        if default if binary is None else binary:
            tails.append(tensors.to_bytes(array))
            heads.append({**head, "parameters": {"binary_data_size": len(tails[-1])}})
        else:
            heads.append({**head, "data": array.ravel().tolist()})
    return heads, tails
