"""The reading side: any image and a model file → the digit, its probability, and whether to trust it."""
