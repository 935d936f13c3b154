"""Read digits with a model file, without Keras: the digit, its calibrated probability, accepted or rejected."""

from __future__ import annotations

from mnist_cnn.reading.recognizer.model_file import read_model_file
from mnist_cnn.reading.recognizer.recognition import Recognizer
from mnist_cnn.reading.recognizer.verdict import Reading, Reason

__all__ = ["Reading", "Reason", "Recognizer", "read_model_file"]
