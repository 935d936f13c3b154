"""Digits over HTTP: a drawing page, an API and the Open Inference Protocol, all over one recogniser."""
