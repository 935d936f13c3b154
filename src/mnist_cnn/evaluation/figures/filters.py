"""What the first convolution looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn.evaluation.figures.style import SIGNED, frame, image_grid, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from mnist_cnn.models.backend import keras

MOST = 64  # filters drawn


def first_kernel(model: keras.Model) -> NDArray[np.float32] | None:
    """Give the kernel of the first convolution, float32 [h, w, inputs, filters]; None if there is none."""
    kernels = (layer.get_weights()[0] for layer in model.layers if type(layer).__name__ == "Conv2D")
    kernel = next(kernels, None)
    return None if kernel is None else np.asarray(kernel, dtype=np.float32)


@styled
def first_filters(kernel: NDArray[Any]) -> Figure:
    """Draw the filters of a kernel, [h, w, inputs, filters], each on its own scale around 0.

    Several input channels are averaged. Ink under vermilion (positive) raises the response, ink under blue lowers it.
    """
    filters = np.moveaxis(kernel.mean(axis=2), -1, 0)[:MOST]  # [filters, h, w]
    figure, tiles = image_grid(len(filters), columns=16 if len(filters) > 24 else 8, tile=0.62, caption=0)
    for axes, each in zip(tiles, filters, strict=True):
        top = max(float(np.abs(each).max()), 1e-9)
        axes.imshow(each, cmap=SIGNED, vmin=-top, vmax=top)
        frame(axes)
    return figure
