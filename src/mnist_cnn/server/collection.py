"""Labelled pictures for training: `FOLDER/CLASS/NAME.png`, as `mnist-cnn train --add` reads them."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from PIL import Image

from mnist_cnn.errors import MnistCnnError, ModelFileError, SettingError, WriteError
from mnist_cnn.files import is_left_behind, part_of, write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_PICTURES = 10_000

_NAME = re.compile(r"[0-9a-f]{32}")  # of a picture, without its suffix
_LOCK = ".lock"  # in the folder; hidden, so it is not a class
_PATIENCE = 5.0  # seconds to wait for another process that is writing
_LONGEST = 255  # bytes of a folder's name, on most file systems
# Names that are special, hidden or reserved on some system:
_NO_FOLDER = re.compile(r'[<>:"/\\|?*]|^\.|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)


class CollectionFullError(MnistCnnError):
    """The collection has reached its limit."""


@dataclass(frozen=True)
class Kept:
    """One stored picture."""

    label: str
    name: str  # of the file, without suffix: a digest of the picture, so the same picture is kept once
    count: int  # pictures in the collection now


@dataclass(frozen=True)
class Collection:
    """A folder with one subfolder per class. Any number of threads and processes may use it at once.

    Attributes:
        folder: Created when needed.
        class_names: Each one is the name of a subfolder, see `check_class_names`.
        limit: Most pictures.
    """

    folder: Path
    class_names: tuple[str, ...]
    limit: int = MAX_PICTURES

    def keep(self, picture: NDArray[np.uint8], label: str) -> Kept:
        """Keep one picture; a new label replaces an old one.

        Args:
            picture: [28, 28], as the network saw it.
            label: One of the class names.

        Raises:
            CollectionFullError: The limit is reached.
            MnistCnnError: The folder cannot be written, the disk is full, or other processes keep it locked.
        """
        name = hashlib.sha256(picture.tobytes()).hexdigest()[:32]
        with self.alone():
            before = next((each for each in self.class_names if self._file(each, name).exists()), None)
            count = self.count()
            if before is None and count >= self.limit:
                raise CollectionFullError(
                    f"the collection is full ({self.limit:,} pictures). Train on them, then move them elsewhere."
                )
            try:
                self._store(picture, self._file(label, name), self._file(before, name) if before else None)
            finally:
                for each in {label, before or label}:
                    self._drop_empty(each)
            return Kept(label, name, count if before else count + 1)

    def take_back(self, label: str, name: str) -> bool:
        """Remove a picture, and say whether it was there.

        Raises:
            MnistCnnError: The folder cannot be written, or other processes keep it locked.
        """
        if label not in self.class_names or not _NAME.fullmatch(name):
            return False
        with self.alone():
            file = self._file(label, name)
            is_there = file.exists()
            file.unlink(missing_ok=True)
            self._drop_empty(label)
            return is_there

    def count(self) -> int:
        """Return the number of pictures."""
        return sum(1 for label in self.class_names for _ in (self.folder / label).glob("[!.]*.png"))

    def _file(self, label: str, name: str) -> Path:
        return self.folder / label / f"{name}.png"

    def _store(self, picture: NDArray[np.uint8], file: Path, old: Path | None) -> None:
        """Write a picture, or move it from its old label: at no time does it have two."""
        if old:
            file.parent.mkdir(exist_ok=True)
            old.replace(file)
        else:
            with write_whole(file) as partial:
                Image.fromarray(picture).save(partial)  # only pixels: no time, place or software

    def _drop_empty(self, label: str) -> None:
        """Remove the folder of a class without pictures, which would be an error in training."""
        with contextlib.suppress(OSError):  # it is not empty
            (self.folder / label).rmdir()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from writing, so that counts are right and no folder disappears under a file."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / _LOCK, timeout=_PATIENCE):
                yield
        except Timeout:
            raise MnistCnnError(f"other processes have locked {self.folder} for {_PATIENCE:g} s. Try again.") from None
        except FileExistsError as error:
            raise WriteError(f"{self.folder} is a file, not a folder.") from error
        except OSError as error:
            raise WriteError(f"{self.folder} cannot be written ({error.strerror or error}).") from error


def open_collection(folder: Path, class_names: Sequence[str]) -> Collection:
    """Open a collection, and check that pictures can be kept in it.

    Raises:
        InputError: The folder cannot be created or written, or a class name cannot be the name of a folder.
    """
    check_class_names(class_names)
    collection = Collection(folder, tuple(class_names))
    try:
        with collection.alone():
            return collection
    except MnistCnnError as error:
        raise SettingError(f"digits cannot be collected: {error} Choose another folder.") from error


def check_class_names(class_names: Sequence[str]) -> None:
    """Check that the name of every class can be the name of a folder on every system, and is read back as it is.

    Raises:
        InputError: A name cannot, or two names would share a folder.
    """
    for name in class_names:
        _check_class_name(name)
    (name, times), *_ = Counter(each.casefold() for each in class_names).most_common(1)
    if times > 1:
        raise ModelFileError(
            f"{times} classes are called {name!r} except for capitals, and would share a folder on some systems."
        )


def _check_class_name(name: str) -> None:
    is_folder = name.isprintable() and 0 < len(name.encode()) <= _LONGEST and not _NO_FOLDER.search(name)
    if not is_folder or is_left_behind(name) or part_of(name):
        raise ModelFileError(
            f"digits of class {name!r:.80} cannot be collected, because training would not read a folder of this name. "
            "Rename the class."
        )
