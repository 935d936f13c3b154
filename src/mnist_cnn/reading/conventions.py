"""What every network in this package takes and returns. Reading, data sets, training and export share these facts."""

from __future__ import annotations

IMAGE_SIZE = 28  # pixels, height and width
# Accepted shapes of one image, without the batch; all contain the same numbers in the same order.
IMAGE_SHAPES = (
    (IMAGE_SIZE, IMAGE_SIZE, 1),
    (1, IMAGE_SIZE, IMAGE_SIZE),
    (IMAGE_SIZE, IMAGE_SIZE),
    (IMAGE_SIZE * IMAGE_SIZE,),
)
LINE_OUTPUTS = ("scores", "boxes")  # of a network for whole numbers; those of single digits have one output
SUM_TOLERANCE = 0.01  # by how much probabilities may miss a sum of 1; bfloat16 rounds by up to 0.4 %, logits exceed it
ENSEMBLE_NAME = "ensemble"  # of a Keras model that averages others
