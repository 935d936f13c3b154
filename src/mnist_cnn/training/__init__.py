"""Training: configuration and data in, run folder out. Begin at `train.py`.

Nothing is imported here, so that `listener` can be had without Keras.
"""
