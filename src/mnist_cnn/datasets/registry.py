"""The data sets that can be downloaded: addresses, checksums, shapes and class names, in one table.

A download must match the published SHA-256 of the file. A file found on this machine may have been compressed again,
so it is verified by its content: MNIST by the SHA-256 of the uncompressed data; the others, which have no published
one, by type, shape and label range.
"""

from __future__ import annotations

from dataclasses import dataclass

from mnist_cnn.datasets.dataset import DIGIT_NAMES
from mnist_cnn.reading.conventions import IMAGE_SIZE

SPLITS = ("train", "test")


@dataclass(frozen=True)
class RemoteFile:
    """One file as the mirrors serve it."""

    name: str  # on the mirrors and in the cache
    shape: tuple[int, ...] = ()  # of the array in it; empty for an archive
    sha256: str = ""  # hexadecimal; empty for a file that is only served within an archive
    content_sha256: str = ""  # of the uncompressed content; empty where none is published


@dataclass(frozen=True)
class Source:
    """One data set that can be downloaded."""

    name: str
    description: str  # one line for people
    class_names: tuple[str, ...]
    mirrors: tuple[str, ...]  # addresses in the order they are tried; "{file}" stands for the file's name
    files: dict[tuple[str, str], RemoteFile]  # by split and by "images" or "labels"
    torchvision: str  # torchvision's folder for it
    keras: str = ""  # what Keras keeps of it in its `datasets` folder, if anything
    archive: RemoteFile | None = None  # the one file that contains all others, where they are not served singly
    transposed: bool = False  # rows and columns of each image are swapped

    @property
    def is_unmistakable(self) -> bool:
        """Whether its files cannot be confused with another set's: by checksum, or by names of their own."""
        images = self.files["train", "images"]
        return bool(images.content_sha256) or not images.name.startswith("train-")


def _files(
    counts: tuple[int, int] = (60_000, 10_000),
    *,
    sets: tuple[str, str] = ("train", "t10k"),
    labels: str = "idx1-ubyte",
    label_columns: tuple[int, ...] = (),
    sha256: tuple[str, ...] = ("",) * 4,
    content_sha256: tuple[str, ...] = ("",) * 4,
) -> dict[tuple[str, str], RemoteFile]:
    """Describe the images and labels of train, then those of test."""
    keys = [(split, kind) for split in SPLITS for kind in ("images", "labels")]
    names = [f"{part}-{kind}.gz" for part in sets for kind in ("images-idx3-ubyte", f"labels-{labels}")]
    shapes = [(count, *rest) for count in counts for rest in ((IMAGE_SIZE, IMAGE_SIZE), label_columns)]
    rows = zip(names, shapes, sha256, content_sha256, strict=True)
    return {key: RemoteFile(*row) for key, row in zip(keys, rows, strict=True)}


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
        sha256=(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        content_sha256=(
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
        sha256=(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        )
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
        sha256=(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        )
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
    files=_files((240_000, 40_000), sets=("emnist-digits-train", "emnist-digits-test")),
    archive=RemoteFile("emnist-gzip.zip", sha256="909a2a39c5e86bdd7662425e9b9c4a49bb582bf8d0edad427f3c3a9d0c6f7259"),
    torchvision="EMNIST",
    transposed=True,
)

_QMNIST = Source(
    name="qmnist",
    description="QMNIST: MNIST rebuilt from the NIST originals, with 60,000 test digits (Yadav, Bottou)",
    class_names=DIGIT_NAMES,
    mirrors=(
        "https://raw.githubusercontent.com/facebookresearch/qmnist/main/{file}",
        "https://github.com/facebookresearch/qmnist/raw/main/{file}",
        "https://raw.githubusercontent.com/facebookresearch/qmnist/master/{file}",
    ),
    files=_files(
        (60_000, 60_000),
        sets=("qmnist-train", "qmnist-test"),
        labels="idx2-int",
        label_columns=(8,),  # class, NIST series, writer, digit index, NIST class, global index, two flags
        sha256=(
            "9e26a7bf1683614e065d7b76460ccd52807165b3f22561fb782bd9f38c52b51d",
            "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",
            "43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375",
            "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
        ),
    ),
    torchvision="QMNIST",
)

SOURCES = {source.name: source for source in (_MNIST, _FASHION, _KMNIST, _EMNIST, _QMNIST)}
