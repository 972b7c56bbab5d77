"""An event loop in a thread of its own, for a service that must live on one loop, whoever calls.

background = Background(service)
value = background.run(coroutine)                         # from plain code
async for item in background.stream(async_generator): ... # from any other event loop
background.close()
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Final, Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")
_END: Final = object()


class Background(Generic[S]):
    """Keeps a service open on its own loop; safe to use from several threads and loops at once."""

    def __init__(self, service: Callable[[], AbstractAsyncContextManager[S]]) -> None:
        """Start the thread and wait until the service is open; its errors are raised here."""
        self._open = service
        self._tasks: set[asyncio.Task[Any]] = set()
        self._started: concurrent.futures.Future[S] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main()), name="terralogue", daemon=True
        )
        self._thread.start()
        # The service's own threads would keep the interpreter from ending where nobody closes it.
        threading.Thread(target=self._close_at_exit, name="terralogue-exit", daemon=True).start()
        self.service: S = self._started.result()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            async with self._open() as service:
                self._started.set_result(service)
                await self._stop.wait()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    def _close_at_exit(self) -> None:
        threading.main_thread().join()
        self.close()

    def close(self) -> None:
        """Cancel what still runs, close the service and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        async def tracked() -> T:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                return await work
            finally:
                self._tasks.discard(task)

        return asyncio.run_coroutine_threadsafe(tracked(), self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the loop and wait; an interrupt here (Ctrl-C) cancels the work there."""
        future = self._submit(work)
        try:
            return future.result()
        finally:
            future.cancel()

    async def stream(self, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """Iterate on the loop, and hand every item to the caller's; leaving early cancels there."""
        here = asyncio.get_running_loop()
        queue: asyncio.Queue[Any] = asyncio.Queue()

        def put(item: object) -> None:
            # A caller whose loop is gone no longer waits for anything.
            with contextlib.suppress(RuntimeError):
                here.call_soon_threadsafe(queue.put_nowait, item)

        async def pump() -> None:
            async with aclosing(items):
                async for item in items:
                    put(item)

        future = self._submit(pump())
        future.add_done_callback(lambda _: put(_END))
        try:
            while (item := await queue.get()) is not _END:
                yield item
            future.result()
        finally:
            future.cancel()
