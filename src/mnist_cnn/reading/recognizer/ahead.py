"""Process items in threads or in processes, a few ahead of the consumer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # items per worker that are queued or in progress, so that no worker idles while the consumer is busy


def map_ahead(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Compute `map(work, items)` in threads: the same results in the same order, with few items in memory.

    The threads live as long as the iteration, which costs about 0.1 ms. In return, a process that forks between two
    calls leaves no broken pool behind.

    Args:
        work: Called from several threads at the same time. If it raises, the iteration ends at that item.
        items: Consumed one by one, in the calling thread. If it raises, the iteration ends at once.
        threads: 1 works in the calling thread.

    Yields:
        One result per item.
    """
    if threads == 1:
        yield from map(work, items)
        return
    from concurrent.futures import ThreadPoolExecutor  # costs 5 ms, and a single image needs no threads

    with ThreadPoolExecutor(threads) as pool:
        yield from map_in_pool(pool, work, items, threads)


def map_in_pool(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Compute `map(work, items)` in the workers of a pool; see `map_ahead`.

    Args:
        pool: It stays open.
        work: If it raises, the iteration ends at that item.
        items: Consumed one by one, in the calling thread.
        workers: Number of workers of the pool.

    Yields:
        One result per item, in the same order.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            while waiting and (waiting[0].done() or len(waiting) > _AHEAD * workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
