"""Any picture of a digit as the 28×28 grey levels that MNIST's makers would have made of it.

    >>> from mnist_cnn.reading.ink import prepare
    >>> prepare("photo.jpg").image  # uint8 [28, 28], ink light on 0

Each module is one step: `sources` reads, `enclosures` looks into what is around the digit (`sheets`, `rings`) and lays
paper around tight `crops`, `polarity` tells ink from paper, `paper` takes the light off, `strokes` finds the digit
(with the help of `lines`) in one of the picture's `views`, `form` brings it to MNIST's size, place and stroke width.
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
