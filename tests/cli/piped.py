"""What is piped into a command that runs in this process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeAlias

Piece: TypeAlias = bytes | float | Callable[[], bool]


@contextmanager
def piped_in(pieces: Sequence[Piece]) -> Iterator[None]:
    """Standard input is a pipe, which is closed in the end.

    A float among `pieces` is a pause, in seconds; what can be called is waited for until it is true.
    """
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)

    def write() -> None:
        with suppress(BrokenPipeError):
            for piece in pieces:
                if isinstance(piece, float):
                    time.sleep(piece)
                elif isinstance(piece, bytes):
                    os.write(writing, piece)
                else:
                    give_up_at = time.monotonic() + 20
                    while not piece() and time.monotonic() < give_up_at:
                        time.sleep(0.01)
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        thread.join()
