"""Keeping labelled pictures: whole or not at all, under names of our own, and only from this server's page."""

from __future__ import annotations

import base64
import errno
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mnist_cnn.datasets import load_addition
from mnist_cnn.datasets.image_folder import read_folder
from mnist_cnn.errors import InputError, MnistCnnError
from mnist_cnn.reading.recognizer.arrangement import arrange_one
from mnist_cnn.server.collection import Collection, CollectionFullError, check_class_names, open_collection

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from starlette.testclient import TestClient

    from server.conftest import MakeClient

DIGITS = tuple("0123456789")


def drawing(seed: int = 0) -> bytes:
    """A stroke from top to bottom on white paper, as a PNG file that carries a note."""
    x = np.random.default_rng(seed).integers(60, 140, 4)
    paper = np.full((200, 200), 255, np.uint8)
    points = np.stack([x, [30, 80, 130, 170]], axis=1).astype(np.int32)
    cv2.polylines(paper, [points], False, 0, 12, cv2.LINE_AA)
    return cv2.imencode(".png", paper)[1].tobytes()


def picture(seed: int = 0) -> NDArray[np.uint8]:
    return arrange_one(drawing(seed)).image


def keep(
    client: TestClient, label: Any = "1", image: bytes | None = None, headers: dict[str, str] | None = None
) -> Any:
    body = {"image": base64.b64encode(image or drawing()).decode(), "label": label}
    return client.post("/collect", json=body, headers=headers)


def files(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mine"


@pytest.fixture
def client(make_client: MakeClient, folder: Path) -> TestClient:
    return make_client(collect=folder, hosts=("testserver",))


def test_a_picture_is_kept_as_training_reads_it(client: TestClient, folder: Path) -> None:
    answer = keep(client, "7")
    assert answer.status_code == 201
    kept = answer.json()
    assert (kept["label"], kept["kept"]) == ("7", 1)
    assert files(folder) == [f"7/{kept['name']}.png"]
    dataset = read_folder(folder, "train")
    assert dataset.class_names == ("7",)
    np.testing.assert_array_equal(dataset.images, [picture()])


def test_the_file_contains_only_pixels(client: TestClient, folder: Path) -> None:
    keep(client)
    (name,) = files(folder)
    with Image.open(folder / name) as image:
        assert image.info == {}


def test_a_picture_has_one_label_the_last(client: TestClient, folder: Path) -> None:
    for label in ("1", "7", "7"):
        kept = keep(client, label).json()
        assert kept["kept"] == 1
    assert files(folder) == [f"7/{kept['name']}.png"]
    assert not (folder / "1").exists()  # an empty class would be an error to training


def test_a_kept_picture_can_be_removed(client: TestClient, folder: Path) -> None:
    kept = keep(client).json()
    address = f"/collect/{kept['label']}/{kept['name']}"
    assert client.delete(address).status_code == 204
    assert files(folder) == []
    assert not (folder / "1").exists()
    again = client.delete(address)
    assert again.status_code == 404
    assert again.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["../../secret", "..%2F..%2Fsecret", "secret", "0" * 32])
@pytest.mark.parametrize("label", ["1", "%2E%2E"])
def test_nothing_else_can_be_removed(client: TestClient, folder: Path, label: str, name: str) -> None:
    keep(client)
    (folder.parent / "secret.png").write_text("mine")
    (folder / "1" / "secret.png").write_text("mine, too")
    before = files(folder.parent)
    assert client.delete(f"/collect/{label}/{name}").status_code in (404, 405)
    assert files(folder.parent) == before


@pytest.mark.parametrize("label", ["10", "", "../1", "\u0661", "x" * 5000])
def test_a_label_is_a_class_of_the_model(client: TestClient, folder: Path, label: str) -> None:
    answer = keep(client, label)
    assert answer.status_code == 422
    assert "is not a class of the model" in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 300
    assert not files(folder.parent)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b'{"label": "1"}', 422),
        (b'{"image": "bm8gaW1hZ2U=", "label": "1"}', 422),
        (b'{"image": [[0, 255]], "label": 1}', 422),
        (b'{"image": [[0, 255]], "label": "1", "name": "x"}', 422),
    ],
)
def test_anything_but_a_labelled_image_is_refused(client: TestClient, folder: Path, body: bytes, status: int) -> None:
    answer = client.post("/collect", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert not files(folder)


def test_a_form_is_refused_since_any_page_may_post_one(client: TestClient) -> None:
    for content_type in ("text/plain", "multipart/form-data; boundary=x", ""):
        answer = client.post("/collect", content=b"{}", headers={"Content-Type": content_type})
        assert answer.status_code == 415


@pytest.mark.parametrize(("strokes", "reason"), [(0, "No ink"), (2, "more than one thing")])
def test_only_a_single_digit_is_kept(client: TestClient, folder: Path, strokes: int, reason: str) -> None:
    paper = np.full((200, 400), 255, np.uint8)
    for x in (100, 300)[:strokes]:
        cv2.line(paper, (x, 30), (x, 170), 0, 12)
    answer = keep(client, image=cv2.imencode(".png", paper)[1].tobytes())
    assert (answer.status_code, reason in answer.json()["detail"]) == (422, True)
    assert not files(folder)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://testserver"},
        {"Origin": "https://testserver"},  # a proxy ends TLS
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://seen.through.a.proxy"},
        {},
    ],
)
def test_this_site_may_collect(client: TestClient, headers: dict[str, str]) -> None:
    assert keep(client, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://testserver:81"},
        {"Origin": "http://testserver.elsewhere.example"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
        {"Sec-Fetch-Site": "", "Origin": "http://testserver"},
    ],
)
def test_other_sites_may_not(client: TestClient, folder: Path, headers: dict[str, str]) -> None:
    answer = keep(client, headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.delete("/collect/1/" + "0" * 32, headers=headers).status_code == 403
    assert not files(folder)


def test_opened_cors_does_not_open_collecting(make_client: MakeClient, folder: Path) -> None:
    client = make_client(collect=folder, hosts=("testserver",), cors_origins=("https://friend.example",))
    assert keep(client, headers={"Origin": "https://friend.example"}).status_code == 403


@pytest.mark.parametrize(
    ("settings", "host", "status"),
    [
        ({}, "127.0.0.1:8000", 201),
        ({}, "[::1]:8000", 201),
        ({}, "LOCALHOST:8000", 201),
        ({}, "rebound.example:8000", 403),
        ({}, "127.0.0.1@rebound.example", 403),
        ({}, "", 403),
        ({"host": "0.0.0.0"}, "digits.example", 201),  # noqa: S104
        ({"hosts": "Digits.example"}, "digits.Example:443", 201),
        ({"hosts": "digits.example"}, "rebound.example", 403),
        ({"hosts": "testserver"}, "a{b.rebound.example:80", 403),  # Starlette would take the server's own instead
    ],
)
def test_host_names_of_other_sites_are_refused(
    make_client: MakeClient, folder: Path, settings: dict[str, Any], host: str, status: int
) -> None:
    client = make_client(collect=folder, **settings)
    assert keep(client, headers={"Host": host, "Sec-Fetch-Site": "same-origin"}).status_code == status


@pytest.mark.parametrize(("settings", "warnings"), [({"host": "0.0.0.0"}, 1), ({}, 0)])  # noqa: S104
def test_collecting_under_any_name_is_warned_of(
    make_client: MakeClient, folder: Path, settings: dict[str, Any], warnings: int, capsys: pytest.CaptureFixture[str]
) -> None:
    make_client(collect=folder, **settings)
    assert capsys.readouterr().out.count("MNIST_CNN_SERVE_HOSTS") == warnings


def test_there_is_a_limit(client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = client.app.state.service.collection  # type: ignore[attr-defined]
    monkeypatch.setattr(type(collection), "count", lambda self: 10_000)
    full = keep(client)
    assert full.status_code == 409
    assert "full (10,000 pictures)" in full.json()["detail"]
    monkeypatch.undo()
    assert keep(client).status_code == 201


def test_without_a_folder_there_is_no_collecting(make_client: MakeClient) -> None:
    client = make_client()
    answer = keep(client)
    assert answer.status_code == 404
    assert "Start it with --collect" in answer.json()["detail"]
    assert client.delete("/collect/1/" + "0" * 32).status_code == 404
    assert not [path for path in client.get("/openapi.json").json()["paths"] if "collect" in path]


def test_a_full_disk_is_reported_and_leaves_nothing(
    client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", fail)
    answer = keep(client)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
    assert "No space left on device" in answer.json()["detail"]
    assert str(folder) not in answer.text
    assert [entry.name for entry in folder.iterdir()] == [".lock"]
    monkeypatch.undo()
    assert keep(client).status_code == 201


def test_a_folder_that_disappeared_or_became_a_file_does_not_crash(client: TestClient, folder: Path) -> None:
    keep(client)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    assert keep(client).json()["kept"] == 1
    (folder / "2").write_text("not a folder")
    assert keep(client, "2", drawing(1)).status_code == 503


def test_another_process_that_holds_the_folder_is_waited_for(
    client: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    monkeypatch.setattr("mnist_cnn.server.collection._PATIENCE", 0.05)
    with FileLock(folder / ".lock"):
        answer = keep(client)
    assert (answer.status_code, "other processes" in answer.json()["detail"]) == (503, True)


def keep_some(folder: Path, start: int) -> int:
    """In a worker process: keep pictures until the collection is full, and say how many went in."""
    collection = Collection(folder, DIGITS, 50)
    done = 0
    for seed in range(start, start + 30):
        random = np.random.default_rng(seed)
        try:
            kept = collection.keep(random.integers(0, 256, (28, 28), np.uint8), str(seed % 10))
        except CollectionFullError:
            continue
        done += 1
        if seed % 7 == 0 and collection.take_back(kept.label, kept.name):
            done -= 1
    return done


def test_a_picture_never_has_two_labels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = Collection(folder, DIGITS, 10)
    kept = collection.keep(picture(), "1")

    def fail(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(MnistCnnError):
        collection.keep(picture(), "7")
    assert files(folder) == [f"1/{kept.name}.png"]
    assert not (folder / "7").exists()


@pytest.mark.slow
def test_several_workers_share_the_folder_and_its_limit(folder: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        with ThreadPoolExecutor(2) as threads:
            here = [threads.submit(keep_some, folder, start) for start in (0, 100)]
            there = pool.starmap(keep_some, [(folder, 200), (folder, 300)])
        done = sum(there) + sum(each.result() for each in here)
    assert done == len(files(folder)) <= 50
    assert all(Image.open(folder / name).size == (28, 28) for name in files(folder))


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12))
def test_a_class_name_that_passes_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    try:
        check_class_names([name])
    except InputError:
        return
    folder = tmp_path_factory.mktemp("class")
    Collection(folder, (name,), 10).keep(picture(), name)
    assert read_folder(folder, "train").class_names == (name,)


@pytest.mark.parametrize("name", ["images", "data", "a.npz", "a.csv", "train-images-idx3-ubyte", "-", "trains", "07"])
def test_a_class_alone_is_read_back_under_any_name(folder: Path, name: str) -> None:
    check_class_names(["other", name])
    Collection(folder, ("other", name), 10).keep(picture(), name)
    assert load_addition(folder, ("other", name)).labels.tolist() == [1]


@pytest.mark.parametrize(
    "names",
    [["a/b"], ["a\\b"], [".."], [".hidden"], [""], ["a\n"], ["\ud800"], ["CON"], ["nul.x"], ["a."], ["a "], ["x" * 256],
     ["A", "a"], ["cat", "Test"], ["cat", "validation"], ["__pycache__"], ["lost+found"]],
)  # fmt: skip
def test_a_class_that_cannot_be_a_folder_is_refused_at_the_start(folder: Path, names: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        open_collection(folder, names)
    assert "\n" not in str(caught.value)
    assert not folder.exists()


def test_a_file_in_place_of_the_folder_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("not a folder")
    for folder in (tmp_path / "key", tmp_path / "key" / "kept"):
        with pytest.raises(
            InputError,
            match=rf"digits cannot be collected: {folder} (is a file|cannot be written).*\. Choose another folder",
        ):
            open_collection(folder, DIGITS)
