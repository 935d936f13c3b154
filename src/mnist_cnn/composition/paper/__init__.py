"""Paper, light and camera: puts drawn strokes into a picture that looks photographed or scanned."""

from mnist_cnn.composition.paper.scenes import picture

__all__ = ["picture"]
