"""The reader: many requests share one network; no answer is lost or goes to another request."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from mnist_cnn.errors import DataError, SettingError
from mnist_cnn.reading.ink import MAX_PIXELS
from mnist_cnn.reading.numbers import NumberReader
from mnist_cnn.reading.recognizer import Recognizer
from mnist_cnn.server.batcher import Batcher
from mnist_cnn.server.lanes import DecoderError, Lane, lane_by_size, lane_of
from mnist_cnn.server.reader import OverloadedError, Reader
from server.drawn import digit, drawing, file_of

KINDS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "AVIF")


@functools.cache
def numbers() -> NumberReader:
    return NumberReader.load(threads=1)


def make_reader(recognizer: Recognizer, **limits: int) -> Reader:
    return Reader(recognizer, numbers(), **({"max_pending": 512} | limits))


SHARED: set[psutil.Process] = set()


@pytest.fixture(autouse=True)
def _processes_of_shared_servers() -> None:
    SHARED.update(decoders())


def decoders() -> list[psutil.Process]:
    """Return the processes for large images, except those of a server that other tests share."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # nor a zombie
            found += [child] if "anyio.to_process" in child.cmdline() and child not in SHARED else []
    return found


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test, and check that its threads and processes end with it."""
    before = set(threading.enumerate())  # other tests' servers have some
    asyncio.run(main())
    assert not [
        each for each in set(threading.enumerate()) - before if each.name.startswith(("ink", "batcher", "constraints"))
    ]
    until = time.monotonic() + 5
    while decoders():
        assert time.monotonic() < until
        time.sleep(0.01)


async def close(reader: Reader) -> None:
    await reader.close()
    assert reader.pending == 0


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

    run(main)


def test_an_unreadable_image_is_named_and_affects_no_other_request(recognizer: Recognizer) -> None:
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

    run(main)


@pytest.mark.parametrize("images", [1, 2])
def test_unreadable_images_are_released_at_once(recognizer: Recognizer, images: int) -> None:
    """An error that is its own cause would keep its body until the next full garbage collection, which is rare here."""
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
        run(main)
        assert tracemalloc.get_traced_memory()[0] < 3 * len(body)
    finally:
        tracemalloc.stop()
        gc.enable()


def noise(side: int, channels: int = 1) -> NDArray[np.uint8]:
    """Return what no codec makes small or quick: uint8 [side, side] or [side, side, channels]."""
    shape = (side, side) if channels == 1 else (side, side, channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def padded_jpeg(size: int) -> bytes:
    """Return a drawing as a JPEG file with some `size` bytes of empty segments, each of which is read in Python."""
    file = file_of(drawing("7"), "JPEG")
    return file[:2] + b"\xff\xe5\x00\x02" * (size // 4) + file[2:]


SLOW: dict[str, Callable[[], bytes]] = {
    "JPEG 2000": lambda: file_of(noise(2600), "JPEG2000"),
    "PNG": lambda: file_of(noise(4800, 3), "PNG", compress_level=1),
    "few pixels, many segments": lambda: padded_jpeg(6_000_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SLOW)
def test_small_images_do_not_wait_for_slow_ones(recognizer: Recognizer, kind: str) -> None:
    """Two slow images are in progress, as many as there are threads on a small machine."""
    slow, quick = SLOW[kind](), [file_of(drawing(label, 10)) for label in "01" * 10]
    done: list[str] = []

    async def read(reader: Reader, name: str, image: bytes) -> None:
        (seen,) = await reader.read([image])
        done.append(name)
        assert name == "slow" or seen.reading.label == name

    async def main() -> None:
        reader = make_reader(recognizer)
        await reader.read([file_of(noise(2100))])  # starts the process that large ones need
        slow_ones = [asyncio.create_task(read(reader, "slow", slow)) for _ in range(2)]
        await asyncio.sleep(0.02)
        await asyncio.gather(*(read(reader, label, each) for label, each in zip("01" * 10, quick, strict=True)))
        await asyncio.gather(*slow_ones)
        await close(reader)

    run(main)
    assert sorted(done[:20]) == ["0"] * 10 + ["1"] * 10
    assert done[20:] == ["slow"] * 2


@pytest.mark.slow
def test_small_images_do_not_wait_for_a_queue_of_photos(recognizer: Recognizer) -> None:
    photo, small = file_of(noise(1900), "JPEG", quality=15, progressive=True), file_of(drawing("7", 10))
    assert lane_of(photo, MAX_PIXELS) is Lane.HEAVY

    async def main() -> None:
        reader = make_reader(recognizer)
        photos = [asyncio.create_task(reader.read([photo])) for _ in range(20)]
        await asyncio.sleep(0.02)
        await asyncio.gather(*(reader.read([small]) for _ in range(10)))
        assert not all(each.done() for each in photos)
        await asyncio.gather(*photos)
        await close(reader)

    run(main)


@pytest.mark.parametrize(
    ("image", "lane"),
    [
        (lambda: digit("7"), Lane.HERE),
        (lambda: file_of(digit("7")), Lane.HERE),
        (lambda: drawing("7", 10), Lane.LIGHT),
        *((lambda kind=kind: file_of(drawing("7", 10), kind), Lane.LIGHT) for kind in KINDS),
        (lambda: file_of(drawing("7", 50)), Lane.HEAVY),
        (lambda: drawing("7", 50), Lane.HEAVY),
        (lambda: file_of(drawing("7", 15), "JPEG2000"), Lane.APART),
        (lambda: padded_jpeg(300_000), Lane.HEAVY),
        (lambda: padded_jpeg(2_000_000), Lane.APART),
        *((lambda kind=kind: file_of(np.zeros((2100, 2100), np.uint8), kind), Lane.APART) for kind in KINDS),
        (lambda: b"of an unknown kind", Lane.LIGHT),  # refused at once
        (lambda: file_of(np.zeros((5100, 5000), np.uint8)), Lane.LIGHT),  # likewise
        (lambda: file_of(np.zeros((2100, 2100), np.uint8))[:100], Lane.APART),
    ],
)
def test_an_image_takes_the_lane_that_its_size_and_kind_call_for(image: Callable[[], Any], lane: Lane) -> None:
    assert lane_of(image(), 25_000_000) is lane


def test_large_images_are_read_one_at_a_time(recognizer: Recognizer) -> None:
    """Each takes hundreds of megabytes."""

    async def main() -> None:
        reader = make_reader(recognizer)
        small, large = file_of(drawing("1")), [file_of(drawing("7", 80), kind) for kind in ("PNG", "JPEG", "TIFF")]
        work = asyncio.gather(*(reader.read([small, each, small]) for each in large))
        most = 0
        while not work.done():
            await asyncio.sleep(0.01)
            most = max(most, len(decoders()))
        assert [[seen.reading.label for seen in each] for each in await work] == [["1", "7", "1"]] * 3
        assert most == 1
        await close(reader)

    run(main)


def test_a_large_image_that_cannot_be_read_is_named(recognizer: Recognizer) -> None:
    large = file_of(drawing("7", 80))

    async def main() -> None:
        reader = make_reader(recognizer)
        with pytest.raises(DataError, match=r"^image 2 of 3: this image cannot be read: damaged"):
            await reader.read([file_of(drawing("1")), large[: len(large) // 2], file_of(drawing("1"))])
        with pytest.raises(DataError, match=r"^this image cannot be read: damaged"):
            await reader.read([large[: len(large) // 2]])
        await close(reader)

    run(main)


def test_the_work_on_a_large_image_ends_when_its_request_is_cancelled(recognizer: Recognizer) -> None:
    slow, large = SLOW["JPEG 2000"](), file_of(drawing("7", 80))

    async def main() -> None:
        reader = make_reader(recognizer)
        await reader.read([large])
        (process,) = decoders()
        given_up = asyncio.create_task(reader.read([slow]))
        after = asyncio.create_task(reader.read([large]))
        await asyncio.sleep(0.1)
        given_up.cancel()
        assert (await after)[0].reading.label == "7"
        assert given_up.cancelled()
        assert not process.is_running()
        await close(reader)

    run(main)


def test_a_process_that_is_killed_fails_one_image_and_is_replaced(recognizer: Recognizer) -> None:
    """As the system does when memory is short, or a fault of a codec."""
    slow, large = SLOW["JPEG 2000"](), file_of(drawing("7", 80))

    async def main() -> None:
        reader = make_reader(recognizer)
        assert (await reader.read([large]))[0].reading.label == "7"
        failing = asyncio.create_task(reader.read([slow]))
        await asyncio.sleep(0.1)
        decoders()[0].kill()
        with pytest.raises(DecoderError, match="failed"):
            await failing
        assert (await reader.read([large]))[0].reading.label == "7"
        await close(reader)

    run(main)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_small_png_with_compressed_text_is_not_prepared_on_the_event_loop(kind: bytes) -> None:
    """Unpacking them may take as long as a photo."""
    file = file_of(digit("7"))
    assert lane_by_size(file) is Lane.HERE
    assert lane_by_size(file[:33] + struct.pack(">I", 0) + kind + bytes(4) + file[33:]) is Lane.LIGHT


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

    run(main)


def test_larger_images_than_allowed_are_refused(recognizer: Recognizer) -> None:
    async def main() -> None:
        reader = make_reader(recognizer, max_pixels=1000)
        for image in (np.zeros((40, 40), np.uint8), file_of(drawing("7"))):
            with pytest.raises(DataError, match="at most 1,000"):
                await reader.read([image])
        await close(reader)

    run(main)


def test_cancelled_requests_leave_nothing(recognizer: Recognizer) -> None:
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
        assert time.monotonic() - begun < 5, "the work of cancelled requests was done all the same"

    run(main)


def test_numbers_are_read_as_by_the_reader_in_every_lane(recognizer: Recognizer) -> None:
    wide = np.tile(drawing("7"), (1, 40))  # [140, 5600]: read in the lane for slow images
    images: list[Any] = [digit("7"), file_of(digit("1")), drawing("0", 10), file_of(drawing("7", 80)), file_of(wide)]
    lanes = [lane_of(image, MAX_PIXELS) for image in images]
    assert lanes[:4] == [Lane.HERE, Lane.HERE, Lane.LIGHT, Lane.APART]

    async def main() -> None:
        reader = make_reader(recognizer)
        for length, pattern in ((None, None), ("3", None), ("2-4", r"[1-9]\d*")):
            expected = [numbers().read(image, length=length, pattern=pattern) for image in images]
            assert await reader.read_numbers(images, length, pattern) == expected
            alone = await asyncio.gather(*(reader.read_numbers([image], length, pattern) for image in images))
            assert [each for (each,) in alone] == expected
        await close(reader)

    run(main)


def test_mistakes_about_numbers_are_named_and_leave_nothing(recognizer: Recognizer) -> None:
    good, thin = digit("7"), np.zeros((1, 200), np.uint8)
    mistakes: list[tuple[list[Any], str]] = [
        ([thin], r"^the picture is 200 times as wide"),
        ([good, thin], r"^image 2 of 2: the picture is"),
        ([good, b"nothing"], r"^image 2 of 2: this image cannot be read"),
    ]

    async def main() -> None:
        reader = make_reader(recognizer, max_pending=3)
        for images, words in mistakes:
            with pytest.raises(DataError, match=words):
                await reader.read_numbers(images, None, None)
        with pytest.raises(SettingError, match="too complex"):
            await reader.read_numbers([good], None, r"\d*1\d{200}")
        with pytest.raises(OverloadedError):
            await reader.read_numbers([good] * 4, None, None)
        await close(reader)

    run(main)


def test_digits_and_numbers_share_one_limit(recognizer: Recognizer) -> None:
    async def main() -> None:
        reader = make_reader(recognizer, max_pending=4)
        first = asyncio.ensure_future(reader.read_numbers([drawing("7")] * 3, "2", None))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await reader.read([digit("7")] * 2)
        await first
        assert len(await reader.read([digit("7")] * 4)) == 4
        await close(reader)

    run(main)


def test_no_other_request_waits_for_patterns(recognizer: Recognizer) -> None:
    """Each takes about half a second to be refused."""
    patterns = [f"(1{{0,30}}){{0,30}}{digit}" for digit in range(10)]

    async def main() -> None:
        reader = make_reader(recognizer)
        await reader.read_numbers([drawing("7")], None, "1?")  # imports what patterns need
        hostile = [asyncio.ensure_future(reader.read_numbers([digit("7")], None, each)) for each in patterns]
        await asyncio.sleep(0)
        (seen,) = await reader.read([drawing("7")])
        await reader.read_numbers([drawing("7")], "3", None)
        assert seen.reading.label == "7"
        assert not all(each.done() for each in hostile)
        for each in hostile[1:]:
            each.cancel()
        with pytest.raises(SettingError, match="too complex"):
            await hostile[0]
        await asyncio.wait(hostile)
        await close(reader)

    run(main)


def slow(started: threading.Event, go: threading.Event) -> Callable[[list[int]], list[int]]:
    def work(items: list[int]) -> list[int]:
        started.set()
        assert go.wait(10)
        if 13 in items:
            raise ValueError("13")
        return [len(items)] * len(items)

    return work


def test_waiting_work_is_batched_and_finished_before_the_end() -> None:
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

    run(main)


def test_an_error_reaches_all_callers_of_a_batch_and_the_next_batch_works() -> None:
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

    run(main)
