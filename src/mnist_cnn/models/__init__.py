"""Keras models: named architectures, and the files they are kept in."""
