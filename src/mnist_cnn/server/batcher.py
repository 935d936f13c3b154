"""Work of many callers, done in batches: the items that arrive during one batch form the next."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """One thread that always takes everything that is waiting, and never waits for more.

    An idle server answers at once, and a busy one works in larger batches. All methods belong to one event loop,
    which is why nothing here is locked.
    """

    def __init__(self, work: Callable[[list[Item]], list[Result]]) -> None:
        self._work = work  # called in the thread: one result per item, in order
        self._thread = ThreadPoolExecutor(1, "batcher")
        self._waiting: list[_Job[Item, Result]] = []
        self._running: asyncio.Future[list[Result]] | None = None

    async def do(self, items: Sequence[Item]) -> list[Result]:
        """Return one result per item.

        Raises:
            Exception: The work raised it; all callers in that batch get it.
        """
        answer: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, answer))
        if self._running is None:
            self._start()
        return await answer

    async def close(self) -> None:
        """Finish all waiting work, and end the thread."""
        while self._running is not None:
            await asyncio.wait([self._running])
        self._thread.shutdown()

    def _start(self) -> None:
        """Begin with everything that is waiting; cancelled callers are skipped."""
        jobs = [job for job in self._waiting if not job[1].done()]
        self._waiting.clear()
        if not jobs:
            self._running = None
            return
        items = list(itertools.chain.from_iterable(items for items, _ in jobs))
        self._running = asyncio.get_running_loop().run_in_executor(self._thread, self._work, items)
        self._running.add_done_callback(partial(self._finish, jobs))

    def _finish(self, jobs: list[_Job[Item, Result]], finished: asyncio.Future[list[Result]]) -> None:
        self._start()  # first, so that the thread works while the answers are handed out
        error = finished.exception()
        results = iter(() if error else finished.result())
        for items, answer in jobs:
            share = list(itertools.islice(results, len(items)))
            if answer.done():  # cancelled
                continue
            if error:
                answer.set_exception(error)
            else:
                answer.set_result(share)


_Job: TypeAlias = "tuple[Sequence[Item], asyncio.Future[list[Result]]]"
