"""Training of the network that reads whole numbers. Start reading at `line_training.py`."""
