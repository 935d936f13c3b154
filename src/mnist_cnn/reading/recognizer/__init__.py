"""A model file and any image → a digit, its probability, and whether to trust it; without Keras or TensorFlow."""

from __future__ import annotations

from mnist_cnn.reading.recognizer.recognition import Reading, Recognizer, read_model_file

__all__ = ["Reading", "Recognizer", "read_model_file"]
