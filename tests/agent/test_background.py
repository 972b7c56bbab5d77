from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from terralogue.agent.background import Background

LOG: list[str] = []


@asynccontextmanager
async def service() -> AsyncIterator[str]:
    try:
        yield threading.current_thread().name
    finally:
        LOG.append("closed")


@asynccontextmanager
async def broken() -> AsyncIterator[str]:
    raise OSError("cannot open")
    yield ""


@pytest.fixture
def background() -> Iterator[Background[str]]:
    LOG.clear()
    made = Background(service)
    yield made
    made.close()


async def name_of_thread() -> str:
    return threading.current_thread().name


async def count(entered: threading.Event | None = None) -> AsyncGenerator[int, None]:
    try:
        for number in range(3):
            yield number
        if entered is not None:
            entered.set()
            await asyncio.Event().wait()
    finally:
        LOG.append("counted")


def test_work_runs_on_the_loop_of_the_service(background: Background[str]) -> None:
    assert background.service == background.run(name_of_thread()) == "terralogue"
    assert threading.current_thread().name != "terralogue"


def test_an_error_while_opening_is_raised_to_the_caller() -> None:
    with pytest.raises(OSError, match="cannot open"):
        Background(broken)


async def fail() -> None:
    raise ValueError("no")


def test_an_error_of_the_work_is_raised_to_the_caller(background: Background[str]) -> None:
    with pytest.raises(ValueError, match="no"):
        background.run(fail())


def test_two_loops_can_stream_at_a_time(background: Background[str]) -> None:
    found: list[list[int]] = []

    async def read() -> list[int]:
        return [number async for number in background.stream(count())]

    threads = [threading.Thread(target=lambda: found.append(asyncio.run(read()))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[0, 1, 2], [0, 1, 2]]


def test_leaving_a_stream_early_ends_the_work(background: Background[str]) -> None:
    async def read() -> None:
        stream = background.stream(count(threading.Event()))
        assert await anext(stream) == 0
        await stream.aclose()

    asyncio.run(read())
    background.close()
    assert LOG == ["counted", "closed"]


def test_closing_ends_what_still_runs_before_the_service(background: Background[str]) -> None:
    entered = threading.Event()

    async def read() -> list[int]:
        return [number async for number in background.stream(count(entered))]

    def consume() -> None:
        with pytest.raises(concurrent.futures.CancelledError):
            asyncio.run(read())

    reader = threading.Thread(target=consume)
    reader.start()
    assert entered.wait(timeout=30)
    background.close()
    reader.join(timeout=30)
    assert not reader.is_alive()
    assert LOG == ["counted", "closed"]
    background.close()
