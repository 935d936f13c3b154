"""Digits over HTTP: a page to draw on, an API, and the Open Inference Protocol, over one recogniser."""

import os

# Reading multiplies no matrices in NumPy, whose OpenBLAS takes 60 ms of processor to start its threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
