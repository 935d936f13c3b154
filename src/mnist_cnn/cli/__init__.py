"""The command line: one short function per command, and the only place that prints."""

from __future__ import annotations

from mnist_cnn.cli.app import main

__all__ = ["main"]
