"""Any image of a digit, converted to 28×28 grey levels as in MNIST.

    >>> from mnist_cnn.reading.ink import prepare
    >>> prepare("photo.jpg").image  # uint8 [28, 28], ink light on 0

Each module is one step. `sources` reads the image. `polarity` and `specks` repair small images. `enclosures` looks
inside sheets, discs and rings, and adds paper around tight `crops`. `polarity` decides whether the ink is dark or
light. `paper` removes the lighting. `strokes` finds the digit (and `lines` to ignore) in one of the image's `views`.
`outlines` fills hollow digits. `form` gives the digit MNIST's size, place and stroke width.
"""

from mnist_cnn.reading.ink.form import in_mnist_form, looks_like_mnist
from mnist_cnn.reading.ink.preparation import PREPROCESSING, Prepared, prepare, stages
from mnist_cnn.reading.ink.sources import MAX_PIXELS, SUFFIXES, ImageSource, read_image

__all__ = [
    "MAX_PIXELS",
    "PREPROCESSING",
    "SUFFIXES",
    "ImageSource",
    "Prepared",
    "in_mnist_form",
    "looks_like_mnist",
    "prepare",
    "read_image",
    "stages",
]
