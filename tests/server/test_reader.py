"""The reader: many requests, one network; nothing is mixed up, lost or left behind."""

from __future__ import annotations

import asyncio
import gc
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mnist_cnn.errors import DataError
from mnist_cnn.ink import Prepared
from mnist_cnn.recognizer import Recognizer
from mnist_cnn.server.batcher import Batcher
from mnist_cnn.server.reader import OverloadedError, Reader, _is_small
from server.drawn import digit, drawing, file_of


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load(threads=1)


def make_reader(recognizer: Recognizer, **limits: int) -> Reader:
    return Reader(recognizer, **({"max_pending": 512} | limits))


async def close(reader: Reader) -> None:
    """End it, and see that nothing is left."""
    await reader.close()
    assert reader.pending == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("ink", "batcher"))]


def test_many_at_once_get_their_own(recognizer: Recognizer) -> None:
    kinds: list[tuple[str, Any]] = [
        (label, make(label))
        for label in "017"
        for make in (digit, drawing, lambda each: file_of(digit(each)), lambda each: file_of(drawing(each, 20), "JPEG"))
    ]

    async def main() -> None:
        reader = make_reader(recognizer)
        rng = np.random.default_rng(0)
        orders = [[kinds[place] for place in rng.integers(0, len(kinds), rng.integers(1, 12))] for _ in range(60)]
        answers = await asyncio.gather(*(reader.read([image for _, image in order]) for order in orders))
        for order, seen in zip(orders, answers, strict=True):
            assert [each.reading.label for each in seen] == [label for label, _ in order]
        await close(reader)

    asyncio.run(main())


def test_pictures_are_what_the_network_saw(recognizer: Recognizer) -> None:
    async def main() -> None:
        reader = make_reader(recognizer)
        (seen,) = await reader.read([digit("7")])
        np.testing.assert_array_equal(seen.picture, digit("7"))
        assert await reader.read([]) == []
        await close(reader)

    asyncio.run(main())


def test_an_unreadable_image_is_named_and_hurts_nobody_else(recognizer: Recognizer) -> None:
    async def main() -> None:
        reader = make_reader(recognizer)
        good, bad = file_of(drawing("7")), b"nothing"
        results = await asyncio.gather(
            reader.read([good]), reader.read([bad]), reader.read([good] * 6 + [bad]), return_exceptions=True
        )
        assert isinstance(results[0], list)
        assert isinstance(results[1], DataError)
        assert str(results[1]).startswith("this image")
        assert str(results[2]).startswith("image 7 of 7: this image")
        await close(reader)

    asyncio.run(main())


@pytest.mark.parametrize("images", [1, 2])
def test_what_cannot_be_read_is_forgotten_at_once(recognizer: Recognizer, images: int) -> None:
    """An error that was its own cause would hold its body until a full collection of garbage, which is rare here."""
    body = bytes(2**20)

    async def main() -> None:
        reader = make_reader(recognizer)
        for _ in range(20):
            with pytest.raises(DataError) as caught:
                await reader.read([bytes(bytearray(body))] * images)
            assert caught.value.__cause__ is not caught.value
            del caught
        await close(reader)

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        asyncio.run(main())
        assert tracemalloc.get_traced_memory()[0] < 3 * len(body)
    finally:
        tracemalloc.stop()
        gc.enable()


def test_one_large_image_is_decoded_at_a_time(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes hundreds of megabytes."""
    large, running, most = file_of(np.zeros((2100, 2100), np.uint8)), 0, 0
    lock = threading.Lock()

    def slowly(*_: Any) -> Prepared:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return prepared

    prepared = Prepared(digit("7"), has_ink=True)
    monkeypatch.setattr("mnist_cnn.server.reader.arrange_one", slowly)
    monkeypatch.setattr("mnist_cnn.server.reader.usable_cores", lambda: 4)

    async def largest_crowd(image: bytes) -> int:
        nonlocal most
        most = 0
        reader = make_reader(recognizer)
        await asyncio.gather(*(reader.read([image]) for _ in range(4)))
        await close(reader)
        return most

    assert asyncio.run(largest_crowd(large)) == 1
    assert asyncio.run(largest_crowd(b"of an unknown kind")) == 1
    assert asyncio.run(largest_crowd(file_of(drawing("7"), "JPEG"))) > 1


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_small_picture_with_packed_words_is_not_prepared_on_the_event_loop(kind: bytes) -> None:
    """Unpacking them may take as long as a photo."""
    file = file_of(digit("7"))
    assert _is_small(file)
    assert not _is_small(file[:33] + struct.pack(">I", 0) + kind + bytes(4) + file[33:])


def test_too_many_are_refused_at_once_and_room_comes_back(recognizer: Recognizer) -> None:
    async def main() -> None:
        reader = make_reader(recognizer, max_pending=4)
        first = asyncio.ensure_future(reader.read([file_of(drawing("7"))] * 3))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await reader.read([digit("7")] * 2)
        assert len(await reader.read([digit("7")])) == 1
        await first
        assert len(await reader.read([digit("7")] * 4)) == 4
        await close(reader)

    asyncio.run(main())


def test_larger_images_than_allowed_are_refused(recognizer: Recognizer) -> None:
    async def main() -> None:
        reader = make_reader(recognizer, max_pixels=1000)
        for image in (np.zeros((40, 40), np.uint8), file_of(drawing("7"))):
            with pytest.raises(DataError, match="at most 1,000"):
                await reader.read([image])
        await close(reader)

    asyncio.run(main())


def test_large_images_do_not_hold_up_the_event_loop(recognizer: Recognizer) -> None:
    photo = file_of(drawing("7", 80), "JPEG")

    async def main() -> None:
        reader = make_reader(recognizer)
        work = asyncio.ensure_future(reader.read([photo] * 8))
        ticks = 0
        while not work.done():
            await asyncio.sleep(0.001)
            ticks += 1
        assert ticks > 8, "the loop had no turn while the images were prepared"
        await close(reader)

    asyncio.run(main())


def test_who_goes_away_leaves_nothing(recognizer: Recognizer) -> None:
    photo = file_of(drawing("7", 80), "JPEG")

    async def main() -> None:
        reader = make_reader(recognizer)
        tasks = [asyncio.ensure_future(reader.read([photo] * 50)) for _ in range(3)]
        tasks += [asyncio.ensure_future(reader.read([digit("7")])) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert reader.pending == 0
        begun = time.monotonic()
        assert (await reader.read([digit("1")]))[0].reading.label == "1"
        await close(reader)
        assert time.monotonic() - begun < 5, "the work of those who went away was done all the same"

    asyncio.run(main())


def slow(started: threading.Event, go: threading.Event) -> Callable[[list[int]], list[int]]:
    def work(items: list[int]) -> list[int]:
        started.set()
        assert go.wait(10)
        if 13 in items:
            raise ValueError("13")
        return [len(items)] * len(items)

    return work


def test_what_waits_goes_together_and_is_finished_before_the_end() -> None:
    async def main() -> None:
        started, go = threading.Event(), threading.Event()
        batcher = Batcher(slow(started, go))
        first = asyncio.ensure_future(batcher.do([1]))
        while not started.is_set():
            await asyncio.sleep(0.001)
        others = [asyncio.ensure_future(batcher.do([2] * size)) for size in (1, 2, 3)]
        gone = asyncio.ensure_future(batcher.do([13]))
        await asyncio.sleep(0)
        gone.cancel()
        closing = asyncio.ensure_future(batcher.close())
        await asyncio.sleep(0)
        go.set()
        await closing
        assert await first == [1]
        assert [await each for each in others] == [[6], [6, 6], [6, 6, 6]]

    asyncio.run(main())


def test_an_error_reaches_all_who_wait_for_that_batch_and_the_next_is_done() -> None:
    async def main() -> None:
        started, go = threading.Event(), threading.Event()
        batcher = Batcher(slow(started, go))
        first = asyncio.ensure_future(batcher.do([1]))
        await asyncio.sleep(0)
        failing = [asyncio.ensure_future(batcher.do([each])) for each in (12, 13)]
        await asyncio.sleep(0)
        go.set()
        assert await first == [1]
        for each in failing:
            with pytest.raises(ValueError, match="13"):
                await each
        assert await batcher.do([1, 2]) == [2, 2]
        await batcher.close()

    asyncio.run(main())
