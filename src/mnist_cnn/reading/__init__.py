"""The reading side: any image and a model file → the digit, its probability, and whether to trust it."""

IMAGE_SIZE = 28  # pixels: height and width of every image that a network takes
# How networks and data files arrange one image, in order of preference.
LAYOUTS = ((IMAGE_SIZE, IMAGE_SIZE, 1), (1, IMAGE_SIZE, IMAGE_SIZE), (IMAGE_SIZE, IMAGE_SIZE), (IMAGE_SIZE**2,))
