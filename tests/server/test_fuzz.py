"""The server answers any input properly, keeps working, does not grow, and does not log what it received."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import SecretStr
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from starlette.types import ASGIApp

from mnist_cnn.reading.numbers.number_reader import SHIPPED_WEIGHTS as NUMBER_WEIGHTS
from mnist_cnn.reading.recognizer import SHIPPED_WEIGHTS
from mnist_cnn.server.application import create_app
from mnist_cnn.server.settings import Settings
from server.damage import MARK, Sent, damaged_requests, whole_requests
from server.guarded import Answer, ask
from server.live import LiveServer

BODIES = 4_000
WATCHED = 1_500  # of them, the last, whose 5 MB must be forgotten
GROWTH = 1_000_000  # bytes, beside the weights of both models, which each start of the server loads again
KEY = "a-key-that-nobody-may-see"
LOGGED = {"time", "level", "event", "request_id", "method", "route", "status", "ms", "images", "bytes"}
PROBLEM = {"type", "title", "status", "detail", "request_id"}

_DOCUMENTED = schemathesis.openapi.from_dict(create_app(Settings(collect=Path("anywhere"))).openapi())
OPERATIONS = {each.ok().label: each.ok() for each in _DOCUMENTED.get_all_operations() if isinstance(each, Ok)}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A real server that keeps pictures."""
    folder = tmp_path_factory.mktemp("live")
    with LiveServer(folder, collect=folder / "kept") as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_server_does_what_its_documentation_says(live: LiveServer, name: str) -> None:
    right, wrong = (OPERATIONS[name].as_strategy(generation_mode=mode) for mode in GenerationMode)
    load_all_checks()
    # A schema can say that a body is a picture, not that it is whole.
    unsaid = CHECKS.get_by_names(["positive_data_acceptance"])

    @settings(max_examples=40, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=right | wrong)
    def check(case: Any) -> None:
        case.call_and_validate(base_url=live.url, excluded_checks=unsaid)

    check()
    assert live.process.poll() is None


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    """All of the server, with a key."""
    return create_app(Settings(collect=tmp_path / "kept", api_key=SecretStr(KEY), max_images=8, max_pixels=10**6))


def test_whole_requests_are_answered(app: FastAPI) -> None:
    answers = asyncio.run(_ask_all(app, whole_requests()))
    assert answers == {200: 16, 201: 1}


@pytest.mark.slow
def test_damaged_bodies_are_answered_in_good_order(
    app: FastAPI, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = damaged_requests(seed=1)
    answers = asyncio.run(_ask_all(app, itertools.islice(damaged, BODIES - WATCHED)))
    with _allocating() as held:
        asyncio.run(_ask_all(app, itertools.islice(damaged, WATCHED)))
        grown = held()
    out, err = capfd.readouterr()
    assert len(answers) >= 7, "the damage is not varied enough"
    _check_log(out)
    assert not err
    assert grown < GROWTH + sum(file.stat().st_size for file in (SHIPPED_WEIGHTS, NUMBER_WEIGHTS))
    kept = [path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert all(name == ".lock" or re.fullmatch(r"[0-9a-f]{32}\.png", name) for name in kept), kept


async def _ask_all(app: FastAPI, requests: Iterable[Sent]) -> Counter[int]:
    """Send one after the other; gives how many answers there were of each status."""
    statuses: Counter[int] = Counter()
    async with app.router.lifespan_context(app):
        for sent in requests:
            answer = await _ask(app, sent)
            _check(sent, answer)
            statuses[answer.status] += 1
    return statuses


async def _ask(app: ASGIApp, sent: Sent) -> Answer:
    headers = {"Host": "localhost", "X-API-Key": KEY, **sent.headers}
    return await ask(app, sent.method, sent.path, sent.parts, headers, query="")


def _check(sent: Sent, answer: Answer) -> None:
    if sent.leaves and not answer.status:
        return
    assert 200 <= answer.status < 500, sent
    assert answer.complete, sent
    assert KEY.encode() not in answer.body
    if answer.status >= 400 and sent.method != "HEAD":
        problem = answer.json()
        assert problem.keys() == ({"error"} if sent.path.startswith("/v2") else PROBLEM), sent
        assert len(str(problem)) < 600, sent


def _check_log(text: str) -> None:
    """Every line is one of the server's own, and contains only what the server made itself."""
    for line in text.splitlines():
        entry = json.loads(line)
        assert entry.keys() <= LOGGED, line
        assert entry["event"] == "request", line
    for word in (KEY, MARK):
        assert word not in text


@contextlib.contextmanager
def _allocating() -> Iterator[Callable[[], int]]:
    """Yield a function that says how many bytes were allocated since and are still held."""
    tracemalloc.start()

    def held() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    try:
        yield held
    finally:
        tracemalloc.stop()
