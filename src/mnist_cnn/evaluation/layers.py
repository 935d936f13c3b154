"""What a network consists of: its layers as rows of facts, and its first kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnist_cnn.reading.conventions import ENSEMBLE_NAME

if TYPE_CHECKING:
    from mnist_cnn.models.backend import keras


@dataclass(frozen=True)
class LayerRow:
    """One layer, as in a Keras summary."""

    name: str
    kind: str  # Keras' class: Conv2D
    detail: str  # "3×3 relu"; may be empty
    shape: str  # of the output, without the batch: 26×26×32
    parameters: int
    inputs: tuple[str, ...]  # names of the layers it reads


def layer_rows(model: keras.Model) -> list[LayerRow]:
    """Describe a Functional or Sequential model's layers, one branch after the other."""
    inputs = _inputs_by_name(model)
    rows = [
        LayerRow(
            name=layer.name,
            kind=type(layer).__name__,
            detail=_detail(layer),
            shape="×".join(str(size) for size in layer.output.shape[1:]),
            parameters=layer.count_params(),
            inputs=inputs[layer.name],
        )
        for layer in model.layers
    ]
    return _branch_by_branch(rows)


def _branch_by_branch(rows: Sequence[LayerRow]) -> list[LayerRow]:
    """Order the layers so that each follows one that it reads, where possible, because Keras interleaves branches."""
    of_name = {row.name: row for row in rows}
    are_read = {name for row in rows for name in row.inputs}
    waiting = [row for row in rows if row.name not in are_read][::-1]
    begun: set[str] = set()  # a layer that is called twice may read a later one
    ordered: dict[str, LayerRow] = {}
    while waiting:
        row = waiting[-1]
        begun.add(row.name)
        missing = next((name for name in row.inputs if name not in begun), None)
        if missing is None:
            ordered[row.name] = waiting.pop()
        else:
            waiting.append(of_name[missing])
    return list((ordered | of_name).values())  # nothing is left out, even if every layer is read


def split_ensemble(model: keras.Model) -> keras.Model | None:
    """Return the members of an ensemble as one model with a list of outputs, m times [n, k]; None for other models.

    The result shares its weights with `model`, which may have been saved and opened again.
    """
    mean = model.layers[-1]
    if model.name != ENSEMBLE_NAME or type(mean).__name__ != "Average":
        return None
    return type(model)(model.inputs[0], mean.input)  # Keras' class of functional models


def _inputs_by_name(model: keras.Model) -> dict[str, tuple[str, ...]]:
    # The configuration that Keras writes into every model file is the public record of how layers are connected.
    wired = {each["name"]: each for each in model.get_config()["layers"] if "inbound_nodes" in each}
    names = [layer.name for layer in model.layers]
    if wired:
        return {name: tuple(dict.fromkeys(_histories(wired[name]["inbound_nodes"]))) for name in names}
    return {name: (before,) if before else () for before, name in zip(["", *names], names, strict=False)}


def _histories(node: Any) -> Iterator[str]:
    """Find the names of the layers whose tensors occur anywhere in a saved call."""
    if isinstance(node, dict):
        if "keras_history" in node:
            yield node["keras_history"][0]
        node = list(node.values())
    if isinstance(node, list | tuple):
        for value in node:
            yield from _histories(value)


def _detail(layer: Any) -> str:
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or ()
    rate = getattr(layer, "rate", None)
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    shown = "" if activation in ("linear", type(layer).__name__.lower()) else activation
    return " ".join(filter(None, ["×".join(map(str, size)), f"{rate:g}" if rate else "", shown]))


def first_kernel(model: keras.Model) -> NDArray[np.float32] | None:
    """Return the kernel of the first convolution, float32 [h, w, inputs, filters]; None if there is none."""
    kernels = (layer.get_weights()[0] for layer in model.layers if type(layer).__name__ == "Conv2D")
    kernel = next(kernels, None)
    return None if kernel is None else np.asarray(kernel, dtype=np.float32)
