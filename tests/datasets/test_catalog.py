from __future__ import annotations

import dataclasses
import gzip
import shutil
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from datasets.idx_files import write_idx
from datasets.mirror_server import lie, mirrors, serve, tiny_mnist
from mnist_cnn.datasets import list_datasets, load_dataset, resolve_dataset
from mnist_cnn.datasets.idx import read_idx
from mnist_cnn.datasets.registry import SOURCES, Source
from mnist_cnn.errors import DataError, DatasetUnavailableError, InputError

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = (file.name for file in SOURCES["mnist"].files.values())


@pytest.fixture
def original(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the four files of a tiny MNIST, which is "mnist" for this test."""
    source, _ = tiny_mnist(bare_machine / "original")
    monkeypatch.setitem(SOURCES, "mnist", source)
    return bare_machine / "original"


def as_mnist(monkeypatch: pytest.MonkeyPatch, **changes: object) -> Source:
    source = dataclasses.replace(SOURCES["mnist"], **changes)  # type: ignore[arg-type]
    monkeypatch.setitem(SOURCES, "mnist", source)
    return source


def keras_npz(original: Path, path: Path) -> Path:
    names = {"x_train": TRAIN_IMAGES, "y_train": TRAIN_LABELS, "x_test": TEST_IMAGES, "y_test": TEST_LABELS}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, allow_pickle=False, **{key: read_idx(original / name) for key, name in names.items()})
    return path


def test_every_listed_name_is_known_and_others_are_refused(bare_machine: Path) -> None:
    assert {"auto", "digits", *SOURCES} == set(list_datasets())
    with pytest.raises(InputError, match=r"no data set and no file or folder 'fashon-mnist'\. Did you mean 'fash"):
        load_dataset("fashon-mnist")
    with pytest.raises(InputError, match="no data set"):
        resolve_dataset("fashon-mnist")
    with pytest.raises(InputError, match=r"no split 'tset'\. Did you mean 'test'"):
        load_dataset("digits", split="tset")
    with pytest.raises(InputError, match=r"--data-dir .* is not a folder"):
        load_dataset("mnist", data_dir=bare_machine / "nothing")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "place", ["data-dir", "data-dir/MNIST/raw", "environment/mnist", "cache/datasets/mnist", "home/data/MNIST/raw"]
)
def test_files_are_found_in_each_place(
    original: Path, bare_machine: Path, monkeypatch: pytest.MonkeyPatch, place: str, packed: bool
) -> None:
    monkeypatch.setenv("MNIST_CNN_DATA", str(bare_machine / "environment"))
    (bare_machine / "data-dir").mkdir()
    (bare_machine / place).mkdir(parents=True, exist_ok=True)
    for name in (TEST_IMAGES, TEST_LABELS):  # the train files are not there, and not needed
        content = (original / name).read_bytes()
        target = bare_machine / place / (name if packed else name.removesuffix(".gz"))
        target.write_bytes(content if packed else gzip.decompress(content))
    test = load_dataset("mnist", split="test", data_dir=bare_machine / "data-dir", offline=True)
    assert (len(test), test.split, test.name, test.notice) == (20, "test", "mnist", "")
    assert test.source == str(bare_machine / place)
    np.testing.assert_array_equal(test.images, read_idx(original / TEST_IMAGES))


def test_keras_file_is_found_and_verified(original: Path, bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keras_npz(original, bare_machine / "home" / ".keras" / "datasets" / "mnist.npz")
    assert load_dataset("mnist", offline=True).source == str(path)
    arrays = dict(np.load(path))
    arrays["x_train"][0, 0, 0] ^= 1
    np.savez(path, **arrays)
    assert len(load_dataset("mnist", split="test", offline=True)) == 20  # the test arrays are still right
    with pytest.raises(DatasetUnavailableError, match=r"train images: wrong checksum"):
        load_dataset("mnist", offline=True)
    monkeypatch.setenv("KERAS_HOME", str(bare_machine / "elsewhere"))
    path = keras_npz(original, bare_machine / "elsewhere" / "datasets" / "mnist.npz")
    assert load_dataset("mnist", offline=True).source == str(path)


def test_a_damaged_place_is_skipped_with_a_notice(original: Path, bare_machine: Path) -> None:
    shutil.copytree(original, bare_machine / "damaged")
    (bare_machine / "damaged" / TRAIN_LABELS).write_bytes(b"rubbish")
    shutil.copytree(original, bare_machine / "cache" / "datasets" / "mnist")
    train = load_dataset("mnist", data_dir=bare_machine / "damaged")
    assert train.source.endswith("cache/datasets/mnist")
    assert train.notice.startswith("skipped ")
    assert f"damaged/{TRAIN_LABELS} is not an IDX file" in train.notice


def test_loading_train_opens_no_test_file(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real_open = Path.open

    def spy(path: Path, *arguments: object, **options: object) -> object:
        opened.append(path.name)
        return real_open(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", spy)
    resolve_dataset("mnist", data_dir=str(original)).load("train")
    assert set(opened) == {TRAIN_IMAGES, TRAIN_LABELS}


def test_a_download_fills_the_cache_and_is_not_repeated(
    original: Path, bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {path.name: path.read_bytes() for path in original.iterdir()}
    with mirrors(contents, bad=lie, good=serve) as (addresses, requests):
        as_mnist(monkeypatch, mirrors=tuple(addresses.values()))
        train = load_dataset("mnist")
        assert train.source == str(bare_machine / "cache" / "datasets" / "mnist")
        assert not any("t10k" in request for request in requests)
        assert resolve_dataset("auto").name == "mnist"  # which fetches the test set too
        count = len(requests)
        assert len(load_dataset("mnist", split="all")) == 60
        assert len(requests) == count


def test_a_missing_data_set_lists_every_place_and_mirror(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (original / TRAIN_LABELS).unlink()
    with mirrors(dict.fromkeys((TRAIN_IMAGES, TRAIN_LABELS), b"<html>"), hotel=serve) as (addresses, _):
        as_mnist(monkeypatch, mirrors=(addresses["hotel"], "http://127.0.0.1:1/{file}"))
        with pytest.raises(DatasetUnavailableError) as caught:
            load_dataset("mnist", data_dir=str(original))
    message = str(caught.value)
    lacks = f"{original} (--data-dir): it lacks {TRAIN_LABELS}"
    for part in (
        lacks,
        f"{original / 'mnist'} (--data-dir): not there",
        ".keras/datasets/mnist.npz",
        "work/MNIST/raw",
        "hotel",
    ):
        assert part in message
    assert "http://127.0.0.1:1/train-images-idx3-ubyte.gz: " in message
    assert "wrong content (SHA-256" in message
    assert "name it with --data-dir or $MNIST_CNN_DATA, or use --dataset digits." in message.splitlines()[-1]


@pytest.mark.usefixtures("bare_machine")
def test_auto_without_a_network_is_the_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    from mnist_cnn.datasets import download

    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:  # as if packets were dropped
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/{{file}}"
        as_mnist(monkeypatch, mirrors=(address, address + "?2", address + "?3"))
        started = time.monotonic()
        resolved = resolve_dataset("auto")
        assert time.monotonic() - started < 5  # test_download keeps the real time-out short
    assert resolved.name == "digits"
    train, test = resolved.load("train"), resolved.load("test")
    assert len(train) + len(test) == 1797
    assert train.notice == test.notice == resolved.notice
    assert "MNIST is not on this machine and could not be downloaded" in train.notice


def test_auto_is_not_mnist_if_it_is_incomplete_or_damaged(original: Path) -> None:
    images = (original / TRAIN_IMAGES).read_bytes()
    (original / TRAIN_IMAGES).write_bytes(images[:-100])
    assert load_dataset("auto", data_dir=original, offline=True).name == "digits"
    (original / TRAIN_IMAGES).write_bytes(images)
    (original / TEST_IMAGES).unlink()
    assert resolve_dataset("auto", data_dir=original, offline=True).name == "digits"
    with pytest.raises(DatasetUnavailableError):
        resolve_dataset("mnist", data_dir=original, offline=True)


def test_paths_and_the_digits_resolve_to_themselves(original: Path) -> None:
    assert resolve_dataset("digits").name == "digits"
    assert resolve_dataset(original).load("test").source == str(original)


def test_mnists_files_do_not_pass_for_another_set(
    original: Path, bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = {key: file.shape for key, file in SOURCES["mnist"].files.items()}
    files = {key: dataclasses.replace(file, shape=shapes[key]) for key, file in SOURCES["kmnist"].files.items()}
    monkeypatch.setitem(SOURCES, "kmnist", dataclasses.replace(SOURCES["kmnist"], files=files))
    with pytest.raises(DatasetUnavailableError, match="these are the files of mnist"):
        load_dataset("kmnist", data_dir=original, offline=True)
    monkeypatch.setenv("MNIST_CNN_DATA", str(original))
    with pytest.raises(DatasetUnavailableError) as caught:
        load_dataset("kmnist", offline=True)
    assert f"{original} (" not in str(caught.value)  # a folder for any set is not taken for KMNIST's
    write_idx(bare_machine / "kmnist" / TRAIN_IMAGES, np.full((40, 28, 28), 9, np.uint8))
    write_idx(bare_machine / "kmnist" / TRAIN_LABELS, np.full(40, 9, np.uint8))
    monkeypatch.setenv("MNIST_CNN_DATA", str(bare_machine))
    assert load_dataset("kmnist", offline=True).class_names[9] == "wo"


def small_source(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, labels: np.ndarray) -> np.ndarray:
    source = SOURCES[name]
    images = np.random.default_rng(1).integers(0, 256, (len(labels), 28, 28), np.uint8)
    files = dict(source.files)
    for kind, array in (("images", images), ("labels", labels)):
        files["train", kind] = dataclasses.replace(files["train", kind], shape=array.shape)
        write_idx(folder / name / files["train", kind].name, array)
    monkeypatch.setitem(SOURCES, name, dataclasses.replace(source, files=files))
    return images


def test_emnist_is_set_upright(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = small_source(monkeypatch, bare_machine, "emnist-digits", np.zeros(3, np.uint8))
    train = load_dataset("emnist-digits", data_dir=bare_machine, offline=True)
    np.testing.assert_array_equal(train.images, images.transpose(0, 2, 1))
    by_path = load_dataset(bare_machine / "emnist-digits", split="all")
    np.testing.assert_array_equal(by_path.images, train.images)


def test_qmnist_labels_are_the_first_column(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.arange(40, dtype=np.int32).reshape(5, 8) // 8
    small_source(monkeypatch, bare_machine, "qmnist", table)
    assert load_dataset("qmnist", data_dir=bare_machine, offline=True).labels.tolist() == [0, 1, 2, 3, 4]
    assert load_dataset(bare_machine / "qmnist", split="all").labels.tolist() == [0, 1, 2, 3, 4]
    small_source(monkeypatch, bare_machine, "qmnist", table + 6)
    with pytest.raises(DatasetUnavailableError, match="labels out of range; valid are 0 to 9"):
        load_dataset("qmnist", data_dir=bare_machine, offline=True)


def test_a_folder_of_idx_files_is_read_by_path(original: Path) -> None:
    assert [len(load_dataset(original, split=split)) for split in ("train", "test", "all")] == [40, 20, 60]
    assert len(load_dataset(original / TRAIN_IMAGES, split="all")) == 40
    for name in (TEST_IMAGES, TEST_LABELS):
        (original / name).unlink()
    write_idx(original / TRAIN_LABELS, (np.arange(40) % 8).astype(np.uint8))
    assert [len(load_dataset(original, split=split)) for split in ("train", "test", "all")] == [32, 8, 40]


def test_idx_files_that_do_not_fit_are_refused(original: Path) -> None:
    write_idx(original / TRAIN_LABELS, np.zeros(39, np.uint8))
    with pytest.raises(DataError, match="40 images but 39 labels"):
        load_dataset(original)
    write_idx(original / "train-images-idx3-ubyte.gz", np.zeros((39, 8, 8), np.uint8))
    with pytest.raises(DataError, match=r"shape \(39, 8, 8\), expected \(n, 28, 28\)"):
        load_dataset(original)
    (original / TRAIN_LABELS).unlink()
    with pytest.raises(DataError, match=r"no labels beside it\. Put train-labels-idx1-ubyte"):
        load_dataset(original)
    (original / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match="is not a data set"):
        load_dataset(original / "notes.txt")


def test_a_label_far_from_all_others_is_out_of_range(bare_machine: Path) -> None:
    write_idx(bare_machine / "x-images-idx3-ubyte", np.zeros((3, 28, 28), np.uint8))
    write_idx(bare_machine / "x-labels-idx1-ubyte", np.array([0, 255, 1], np.uint8))
    with pytest.raises(DataError, match=r"label 255 \(image 1\) is out of range"):
        load_dataset(bare_machine / "x-images-idx3-ubyte")


@pytest.mark.mnist
def test_the_real_mnist_is_verified_and_whole(mnist_dir: Path, bare_machine: Path) -> None:
    resolved = resolve_dataset("auto", data_dir=mnist_dir, offline=True)
    assert resolved.name == "mnist"
    train, test = resolved.load("train"), resolved.load("test")
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    path = keras_npz(mnist_dir, bare_machine / "home" / ".keras" / "datasets" / "mnist.npz")
    assert load_dataset("mnist", split="test", offline=True).source == str(path)
