"""Names of folders beside or above the images of a class: parts of a data set, and what systems leave behind.

Whoever reads folders of images passes them over or goes through them; whoever writes such folders avoids these names.
"""

from __future__ import annotations

import re

TRAIN, TEST, VALIDATION = "train", "test", "val"

_PARTS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("test", "testing", "t10k"), TEST),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
}
_UNLABELLED = ("unlabelled", "unlabeled")
# What is said of a part besides which one it is: "MNIST - JPG - training", "trainingSet", "test_images".
_FILLERS = ("dataset", "digits", "digit", "emnist", "format", "images", "image", "imgs", "img", "jpeg", "jpg", "mnist",
            "pictures", "png", "qmnist", "samples", "set", "split", "data")  # fmt: skip
_JUNK = frozenset(("__macosx", "__pycache__", "@eadir", "$recycle.bin", "lost+found", "system volume information",
                   "thumbs.db", "desktop.ini"))  # fmt: skip
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")


def part_of(name: str) -> str | None:
    """Give the part of a data set that a name stands for, whatever its style: "Training", "testSet", "MNIST - test".

    Returns:
        "train", "test" or "val"; None where the name says something else, or more than that.
    """
    if name.casefold() in _PARTS:
        return _PARTS[name.casefold()]
    words = _telling_words(name)
    return _PARTS.get(words[0]) if len(words) == 1 else None


def is_unlabelled(name: str) -> bool:
    """Say whether a name says that images have no labels, whatever its style: "unlabelled", "Unlabeled_Images"."""
    return "".join(_telling_words(name)) in _UNLABELLED


def is_filler(name: str) -> bool:
    """Say whether a name says no more than that there are images or data, such as "images"."""
    return name.casefold() in _FILLERS


def is_left_behind(name: str) -> bool:
    """Say whether a name is that of a hidden file, or of what operating systems and archivers leave behind."""
    return name.startswith(".") or name.casefold() in _JUNK


def _telling_words(name: str) -> list[str]:
    words = [_without_filler(word.casefold()) for word in _WORDS.findall(name)]
    return [word for word in words if word not in _FILLERS]


def _without_filler(word: str) -> str:
    """Take "trainingset" and "testimages" apart."""
    stems = (word.removesuffix(filler) for filler in _FILLERS)
    return next((stem for stem in stems if stem in _PARTS), word)
