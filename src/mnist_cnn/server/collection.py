"""Pictures that people labelled, kept for training: `FOLDER/CLASS/NAME.png`, as `mnist-cnn train --add` reads them."""

from __future__ import annotations

import contextlib
import hashlib
import io
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

_NAME = re.compile(r"[0-9a-f]{32}")  # of a picture, without its suffix
_LOCK = ".lock"  # in the folder; hidden, so it is no class
_PATIENCE = 5.0  # seconds to wait for another process that is writing
_LONGEST = 255  # bytes of a folder's name, on most file systems
_NO_FOLDER = re.compile(
    r'[<>:"/\\|?*]|^\.|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE
)  # what stands for something else, is hidden, or is reserved, on one system or another


class CollectionFullError(MnistCnnError):
    """As many pictures as may be kept are there."""


@dataclass(frozen=True)
class Kept:
    """One picture, kept."""

    label: str
    name: str  # of the file, without suffix: the picture's own fingerprint, so the same picture is kept once
    count: int  # pictures in the collection now


@dataclass(frozen=True)
class Collection:
    """A folder with one sub-folder per class. Any number of threads and processes may use it at once.

    Attributes:
        folder: Made when the first picture is kept.
        class_names: Each the name of a sub-folder: see `check_class_names`.
        limit: Pictures that may lie in it.
    """

    folder: Path
    class_names: tuple[str, ...]
    limit: int

    def keep(self, picture: NDArray[np.uint8], label: str) -> Kept:
        """Keep one picture; where it was kept with another label, the new one takes its place.

        Args:
            picture: [28, 28], as the network saw it.
            label: One of the class names.

        Raises:
            CollectionFullError: The limit is reached.
            MnistCnnError: The folder cannot be written, the disk is full, or others kept it busy.
        """
        name = hashlib.sha256(picture.tobytes()).hexdigest()[:32]
        with self.alone():
            before = [each for each in self.class_names if self._file(each, name).exists()]
            count = self.count()
            if not before and count >= self.limit:
                raise CollectionFullError(
                    f"{self.limit:,} pictures are kept, as many as may be. Train on them, then move them away."
                )
            try:
                with write_whole(self._file(label, name)) as partial:
                    partial.write_bytes(_as_png(picture))
            finally:
                self._drop_empty(label)
            self._forget(name, [each for each in before if each != label], label)
            return Kept(label, name, count if before else count + 1)

    def take_back(self, label: str, name: str) -> bool:
        """Remove a picture, and say whether it was there.

        Raises:
            MnistCnnError: The folder cannot be written, or others kept it busy.
        """
        if label not in self.class_names or not _NAME.fullmatch(name) or not self._file(label, name).exists():
            return False
        with self.alone():
            return self._remove(label, name)

    def count(self) -> int:
        """Give the number of pictures kept."""
        return sum(1 for label in self.class_names for _ in (self.folder / label).glob("[!.]*.png"))

    def _file(self, label: str, name: str) -> Path:
        return self.folder / label / f"{name}.png"

    def _remove(self, label: str, name: str) -> bool:
        file = self._file(label, name)
        try:
            file.unlink()
        except FileNotFoundError:
            return False
        self._drop_empty(label)
        return True

    def _forget(self, name: str, labels: Sequence[str], label: str) -> None:
        """Remove a picture from its former labels, or else from its new one: two labels would teach nonsense."""
        try:
            for each in labels:
                self._remove(each, name)
        except OSError:
            self._remove(label, name)
            raise

    def _drop_empty(self, label: str) -> None:
        """Leave no class without images, which is an error to whoever reads the folder."""
        with contextlib.suppress(OSError):  # there are some
            (self.folder / label).rmdir()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from writing, so that counts hold and no folder vanishes under a file."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / _LOCK, timeout=_PATIENCE):
                yield
        except Timeout:
            raise MnistCnnError(f"others have kept {self.folder} busy for {_PATIENCE:g} s. Try again.") from None
        except (FileExistsError, NotADirectoryError) as error:
            raise WriteError(f"{self.folder} is, or lies in, a file.") from error
        except FileNotFoundError as error:  # /proc and the like; everywhere else folders are made as needed
            raise WriteError(f"no folder can be made at {self.folder}.") from error
        except OSError as error:
            raise WriteError(f"{self.folder} cannot be written: {error.strerror or error}.") from error


def open_collection(folder: Path, class_names: Sequence[str], limit: int) -> Collection:
    """See that pictures can be kept, before anybody draws one.

    Raises:
        InputError: The folder cannot be made or written, or a class cannot be a folder's name.
    """
    check_class_names(class_names)
    collection = Collection(folder, tuple(class_names), limit)
    try:
        with collection.alone():
            return collection
    except MnistCnnError as error:
        raise SettingError(f"nothing can be collected: {error} Choose another folder with --collect.") from error


def check_class_names(class_names: Sequence[str]) -> None:
    """See that every class can have a folder of its name, on every system, that is read back as that class.

    Raises:
        InputError: One cannot, or two would share one.
    """
    for name in class_names:
        _check_class_name(name)
    (name, times), *_ = Counter(each.casefold() for each in class_names).most_common(1)
    if times > 1:
        raise ModelFileError(
            f"{times} classes are called {name!r} but for capitals, and some systems give them one folder."
        )


def _check_class_name(name: str) -> None:
    if not name.isprintable() or not 0 < len(name.encode()) <= _LONGEST or _NO_FOLDER.search(name):
        raise ModelFileError(
            f"class {name!r:.80} cannot be a folder's name, so nothing can be collected of it. Rename it."
        )
    if is_left_behind(name):
        raise ModelFileError(
            f"class {name!r} has the name of a folder that systems leave behind, so its pictures would be passed "
            "over in training. Rename it."
        )
    if part := part_of(name):
        raise ModelFileError(
            f"class {name!r} has the name of a part of a data set ({part}), so while it is the only one with "
            "pictures they could not be trained on. Rename it."
        )


def _as_png(picture: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG")  # pixels alone: no time, no place, no software
    return content.getvalue()
