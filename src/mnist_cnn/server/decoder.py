"""A process that prepares large images, one at a time, and the server's end of it.

A process and not a thread, for three reasons. Pillow's JPEG 2000 decoder holds the interpreter's lock from beginning
to end, so that nothing else in its process runs, and so does a file of millions of tiny parts. A process can be ended
when nobody waits for its result any more. And what decoding takes of memory goes back to the system.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
import os
import struct
import sys
import warnings
from typing import Any, BinaryIO

import cv2
import numpy as np

from mnist_cnn.errors import DataError, MnistCnnError
from mnist_cnn.reading.ink import Prepared, prepare

_LENGTH = struct.Struct(">Q")  # bytes of what follows: an image, or its answer in JSON
_NICE = 5  # lower priority than the threads that prepare small images: on one core these would have to wait as well


class DecoderError(MnistCnnError):
    """The process did not start, or ended without an answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the process that reads large images {reason}. Try again, or send a smaller image.")


class Decoder:
    """The process, from the server's side. It starts with the first image; all methods belong to one event loop.

    Attributes:
        max_pixels: Of one image.
    """

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self._turn = asyncio.Lock()  # one at a time: decoding a picture of the largest size takes some 300 MB
        self._process: asyncio.subprocess.Process | None = None

    async def prepare(self, image: bytes) -> Prepared:
        """Prepare one image, after those that came before. When cancelled, the work on it ends, too.

        Raises:
            DataError: It cannot be read.
            DecoderError: The process did not start, or ended meanwhile.
            MemoryError: There was no memory for it.
        """
        async with self._turn:
            try:
                if self._process is None or self._process.returncode is not None:
                    self._process = await self._start()
                answer = await _ask(self._process, image)
            except (OSError, asyncio.IncompleteReadError) as error:
                await self._end()
                raise DecoderError("could not be started or ended unexpectedly") from error
            except BaseException:  # cancelled: what comes would be taken for the next one's answer
                await self._end()
                raise
        return _prepared_of(answer)

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            await self._end()

    async def _start(self) -> asyncio.subprocess.Process:
        # In a session of its own: Ctrl-C on a terminal is for the server, which then ends it.
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "mnist_cnn.server.decoder", str(self.max_pixels)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _environment() -> dict[str, str]:
    """Give the process what the server's environment holds, except for the server's own settings, such as its key."""
    from mnist_cnn.server.settings import PREFIX  # which the process itself does not import: it would start slower

    names = [name for name in os.environ if not name.upper().startswith(PREFIX)]
    return {name: os.environ[name] for name in names} | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


async def _ask(process: asyncio.subprocess.Process, image: bytes) -> dict[str, Any]:
    assert process.stdin is not None  # noqa: S101  # both are pipes
    assert process.stdout is not None  # noqa: S101
    if process.stdin.is_closing():  # it has ended, and is not known to have; uvloop's own error is a RuntimeError
        raise ConnectionResetError
    process.stdin.write(_LENGTH.pack(len(image)))
    process.stdin.write(image)
    await process.stdin.drain()
    (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
    answer: dict[str, Any] = json.loads(await process.stdout.readexactly(length))
    return answer


def _prepared_of(answer: dict[str, Any]) -> Prepared:
    """Read an answer: JSON and not a pickle, since whoever takes over a decoder must not take over the server."""
    if "error" in answer:
        raise DataError(answer["error"])
    if "memory" in answer:
        raise MemoryError
    pixels = np.frombuffer(base64.b64decode(answer.pop("image")), np.uint8)
    return Prepared(image=pixels.reshape(answer.pop("shape")), **answer)


def _answer_of(image: bytes, max_pixels: int) -> dict[str, Any]:
    try:
        prepared = prepare(image, max_pixels)
    except DataError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"memory": False}
    pixels = {"shape": prepared.image.shape, "image": base64.b64encode(prepared.image.tobytes()).decode()}
    return {field.name: getattr(prepared, field.name) for field in dataclasses.fields(prepared)} | pixels


def _serve(images: BinaryIO, answers: BinaryIO, max_pixels: int) -> None:
    """Answer until the server closes its end, or is gone."""
    while len(head := images.read(_LENGTH.size)) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        text = json.dumps(_answer_of(images.read(length), max_pixels)).encode()
        answers.write(_LENGTH.pack(len(text)) + text)
        answers.flush()


if __name__ == "__main__":
    with contextlib.suppress(AttributeError, OSError):  # there is none on Windows, and a sandbox may forbid it
        os.nice(_NICE)
    cv2.setNumThreads(1)  # requests share the cores already
    warnings.filterwarnings("ignore", module="PIL")  # on odd pictures that can still be read
    _serve(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1]))
