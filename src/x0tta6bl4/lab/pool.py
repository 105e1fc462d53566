"""Many pieces of work at once, each in a process of its own, that end when whoever wanted them is stopped."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_last_calls: list[Callable[[], None]] = []


def before_exit(call: Callable[[], None]) -> None:
    """Call it when this process ends, also where that is a process of a pool that is told to in the middle of work."""
    atexit.register(call)
    _last_calls.append(call)


def at_once(
    work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int
) -> Generator[tuple[Task, Result], None, None]:
    """Each task with its result as it finishes, `jobs` of them at a time; picklable, all three.

    Stopped (an exception of `work` or of whoever takes the results, Ctrl-C, SIGTERM), it tells what runs to unwind,
    waits for that, and begins nothing more.
    """
    others = set(multiprocessing.active_children())
    # spawn: a parent with threads (a progress bar) must not fork, the copy deadlocks.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _heed_the_parent)
    try:
        waiting: dict[Future[Result], Task] = {pool.submit(partial(_until_told, work), task): task for task in tasks}
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _heed_the_parent() -> None:
    """In a process of the pool: Ctrl-C, which reaches all of them, is the parent's matter; its SIGTERM unwinds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _unwind)


def _unwind(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # the pool tells its processes once more when the first of them is gone
    sys.exit(128 + number)


def _until_told(work: Callable[[Task], Result], task: Task) -> Result:
    try:
        return work(task)
    except SystemExit as stopped:  # the pool would hand it back as the result, and begin the next task
        for call in _last_calls:
            call()
        os._exit(stopped.code if isinstance(stopped.code, int) else 1)
