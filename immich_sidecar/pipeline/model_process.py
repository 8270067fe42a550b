"""The service's end of the process that models run in: starts it, talks to it, notices its end."""

import asyncio
import contextlib
import logging
import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from immich_sidecar.analysis.findings import Job
from immich_sidecar.pipeline import model_host
from immich_sidecar.pipeline.model_host import Batch, Setup

_log = logging.getLogger(__name__)

#: Seconds that the process has to end by itself.
END = 1.5


@dataclass(eq=False)
class _Running:
    process: BaseProcess
    pipe: Connection
    #: Both ends of the pipe that tells the process that we live.
    life: tuple[Connection, Connection]
    #: Batches that are with a model, and since when: by worker.
    batches: dict[str, tuple[Batch, float]] = field(default_factory=dict)
    speaking: asyncio.Lock = field(default_factory=asyncio.Lock)


class ModelProcess:
    """One process at a time; what it says arrives in the event loop, in order.

    Parameters
    ----------
    setup
        What it is told at its start.
    on_message
        Called with everything that it says but batches.
    on_end
        Called when it ended unasked, with the tags of the photos that were with a model then, and that model's job.
    """

    def __init__(
        self, setup: Setup, *, on_message: Callable[[Any], None], on_end: Callable[[frozenset[tuple[str, Job]]], None]
    ) -> None:
        self._setup = setup
        self._on_message = on_message
        self._on_end = on_end
        self._running: _Running | None = None
        self._changing = asyncio.Lock()

    @property
    def is_running(self) -> bool:
        """Whether there is one."""
        return self._running is not None

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return None if self._running is None else self._running.process.pid

    def longest(self) -> float:
        """Seconds for which a model has been busy with one batch; words, which take long, do not count."""
        if self._running is None:
            return 0.0
        moment = asyncio.get_running_loop().time()
        busy = [since for batch, since in self._running.batches.values() if batch.job is not Job.WORDS]
        return max((moment - since for since in busy), default=0.0)

    async def start(self) -> None:
        """Start it where there is none; returns before it says that it is ready."""
        async with self._changing:
            if self._running is None:
                self._running = running = await asyncio.to_thread(self._begin)
                loop = asyncio.get_running_loop()
                threading.Thread(target=self._listen, args=(running, loop), name="models", daemon=True).start()

    async def send(self, message: Any) -> None:
        """Tell it something; nothing happens where it has just ended, which is told by `on_end`."""
        running = self._running
        if running is not None:
            # In turn: a pipe is no place for two at once.
            async with running.speaking:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(running.pipe.send, message)

    def kill(self) -> None:
        """End it now, as an accident that is told by `on_end`."""
        if self._running is not None:
            self._running.process.kill()

    def let_go(self) -> "asyncio.Future[None]":
        """Have it end, and forget it at once; `on_end` is not called. Done when it has ended."""
        running, self._running = self._running, None
        return asyncio.ensure_future(asyncio.to_thread(lambda: None if running is None else _end(running)))

    async def stop(self) -> None:
        """End it, also one that is just being started; `on_end` is not called."""
        async with self._changing:
            await self.let_go()

    def _begin(self) -> _Running:
        context = multiprocessing.get_context("forkserver")
        ours, theirs = context.Pipe()
        life_read, life_write = context.Pipe(duplex=False)
        process = context.Process(
            target=model_host.serve, args=(theirs, life_read, self._setup), name="models", daemon=True
        )
        process.start()
        # Theirs alone: with a copy of ours open, its end would never be noticed.
        theirs.close()
        return _Running(process, ours, (life_read, life_write))

    def _listen(self, running: _Running, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            try:
                while True:
                    message = running.pipe.recv()
                    loop.call_soon_threadsafe(self._hear, running, message)
            except (EOFError, OSError):
                pass
            except Exception:  # noqa: BLE001  half a message of a process that was ended while it spoke
                _log.debug("the models' process ended while it spoke", exc_info=True)
            running.process.join(END)
            loop.call_soon_threadsafe(self._ended, running)

    def _hear(self, running: _Running, message: Any) -> None:
        if running is not self._running:
            return
        if not isinstance(message, Batch):
            self._on_message(message)
        elif message.tags:
            running.batches[message.worker] = (message, asyncio.get_running_loop().time())
        else:
            running.batches.pop(message.worker, None)

    def _ended(self, running: _Running) -> None:
        if running is not self._running:
            return
        self._running = None
        _log.warning("the models' process ended (exit code %s)", running.process.exitcode)
        suspects = frozenset((tag, batch.job) for batch, _ in running.batches.values() for tag in batch.tags)
        _close(running)
        self._on_end(suspects)


def _end(running: _Running) -> None:
    # The end of its life is the end of the process, whatever it does.
    running.life[1].close()
    running.process.join(END)
    if running.process.is_alive():
        running.process.kill()
        running.process.join(END)
    _close(running)


def _close(running: _Running) -> None:
    for pipe in (running.pipe, *running.life):
        with contextlib.suppress(OSError):
            pipe.close()
