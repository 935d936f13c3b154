"""Digits over HTTP: a page to draw on, an API, and the Open Inference Protocol, over one recogniser."""
