"""The data sets that can be downloaded: addresses, checksums, shapes and class names, as one table.

MNIST is verified by the SHA-256 of each file's uncompressed content, wherever the file comes from. For the
others only checksums of the compressed files are published (torchvision's
`prototype/datasets/_builtin/mnist.py`): a download must match them; a file found on this machine, which may
have been compressed anew, is verified by its structure (type, shape, label range) only.
"""

from __future__ import annotations

from dataclasses import dataclass

from mnist_cnn.datasets.dataset import DIGIT_NAMES

SPLITS = ("train", "test")


@dataclass(frozen=True)
class RemoteFile:
    """One file as the mirrors hold it."""

    name: str  # at the mirrors and in the cache
    size: int  # bytes to download; mirrors may differ a little
    shape: tuple[int, ...] = ()  # of the array inside; empty for an archive
    content_sha256: str = ""  # hexadecimal, of the uncompressed content; empty where none is published
    packed_sha256: str = ""  # hexadecimal, of the file as published; empty where the content's is known


@dataclass(frozen=True)
class Source:
    """One downloadable data set."""

    name: str
    description: str  # one line for people
    class_names: tuple[str, ...]
    mirrors: tuple[str, ...]  # addresses in the order they are tried; "{file}" stands for the file's name
    files: dict[tuple[str, str], RemoteFile]  # by split and by "images" or "labels"
    torchvision: str  # the folder in which torchvision keeps it
    keras: str = ""  # what Keras keeps of it below its `datasets` folder, if anything
    archive: RemoteFile | None = None  # the one file that holds all others, where they are not served singly
    transposed: bool = False  # images lie with rows and columns swapped

    @property
    def unmistakable(self) -> bool:
        """Whether its files cannot be taken for another set's: by checksum, or by names of their own."""
        images = self.files["train", "images"]
        return bool(images.content_sha256) or not images.name.startswith("train-")


def _files(
    names: tuple[str, str, str, str],
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    sizes: tuple[int, int, int, int],
    *,
    content: tuple[str, ...] = ("",) * 4,
    packed: tuple[str, ...] = ("",) * 4,
) -> dict[tuple[str, str], RemoteFile]:
    keys = [(split, kind) for split in SPLITS for kind in ("images", "labels")]
    rows = zip(names, sizes, shapes, content, packed, strict=True)
    return {key: RemoteFile(*row) for key, row in zip(keys, rows, strict=True)}


_MNIST_NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_MNIST_SHAPES = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))

_MNIST = Source(
    name="mnist",
    description="MNIST: 70,000 handwritten digits (LeCun, Cortes, Burges)",
    class_names=DIGIT_NAMES,
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/{file}",
        "https://storage.googleapis.com/cvdf-datasets/mnist/{file}",
        "https://raw.githubusercontent.com/fgnt/mnist/master/{file}",
    ),
    files=_files(
        _MNIST_NAMES,
        _MNIST_SHAPES,
        (9_912_422, 28_881, 1_648_877, 4_542),
        content=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    torchvision="MNIST",
    keras="mnist.npz",
)

_FASHION = Source(
    name="fashion-mnist",
    description="Fashion-MNIST: 70,000 pictures of clothing in MNIST's format (Zalando)",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/{file}",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/{file}",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{file}",
    ),
    files=_files(
        _MNIST_NAMES,
        _MNIST_SHAPES,
        (26_421_880, 29_515, 4_422_102, 5_148),
        packed=(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    torchvision="FashionMNIST",
    keras="fashion-mnist",
)

_KMNIST = Source(
    name="kmnist",
    description="KMNIST: 70,000 cursive Japanese characters of ten kinds in MNIST's format (CODH)",
    # The hiragana お き す つ な は ま や れ を in Latin letters: most plotting fonts lack the characters.
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    mirrors=(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/{file}",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/{file}",
    ),
    files=_files(
        _MNIST_NAMES,
        _MNIST_SHAPES,
        (18_165_135, 29_497, 3_041_136, 5_120),
        packed=(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
    torchvision="KMNIST",
)

_EMNIST = Source(
    name="emnist-digits",
    description="EMNIST digits: 280,000 handwritten digits (NIST; the download is 560 MB)",
    class_names=DIGIT_NAMES,
    mirrors=(
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
        "https://rds.westernsydney.edu.au/Institutes/MARCS/BENS/EMNIST/emnist-gzip.zip",
    ),
    files=_files(
        (
            "emnist-digits-train-images-idx3-ubyte.gz",
            "emnist-digits-train-labels-idx1-ubyte.gz",
            "emnist-digits-test-images-idx3-ubyte.gz",
            "emnist-digits-test-labels-idx1-ubyte.gz",
        ),
        ((240_000, 28, 28), (240_000,), (40_000, 28, 28), (40_000,)),
        (0, 0, 0, 0),  # never fetched singly
    ),
    archive=RemoteFile(
        "emnist-gzip.zip",
        561_753_746,
        packed_sha256="909a2a39c5e86bdd7662425e9b9c4a49bb582bf8d0edad427f3c3a9d0c6f7259",
    ),
    torchvision="EMNIST",
    transposed=True,
)

_QMNIST = Source(
    name="qmnist",
    description="QMNIST: MNIST made anew from NIST's originals, with 60,000 test digits (Yadav, Bottou)",
    class_names=DIGIT_NAMES,
    mirrors=(
        "https://raw.githubusercontent.com/facebookresearch/qmnist/main/{file}",
        "https://github.com/facebookresearch/qmnist/raw/main/{file}",
        "https://raw.githubusercontent.com/facebookresearch/qmnist/master/{file}",
    ),
    files=_files(
        (
            "qmnist-train-images-idx3-ubyte.gz",
            "qmnist-train-labels-idx2-int.gz",
            "qmnist-test-images-idx3-ubyte.gz",
            "qmnist-test-labels-idx2-int.gz",
        ),
        # Columns of the labels: class, NIST series, writer, digit index, NIST class, global index, two flags.
        ((60_000, 28, 28), (60_000, 8), (60_000, 28, 28), (60_000, 8)),
        (9_704_059, 463_024, 9_742_279, 526_800),
        packed=(
            "9e26a7bf1683614e065d7b76460ccd52807165b3f22561fb782bd9f38c52b51d",
            "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",
            "43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375",
            "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
        ),
    ),
    torchvision="QMNIST",
)

SOURCES = {source.name: source for source in (_MNIST, _FASHION, _KMNIST, _EMNIST, _QMNIST)}
