"""Training: configuration and data in, run folder out. Start reading at `trainer.py`.

Nothing is imported here, so that `listener` does not need Keras.
"""
