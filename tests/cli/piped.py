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

    A float among `pieces` is a pause, in seconds; what can be called is waited for until it is true, and has
    to be within 20 s.
    """
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)

    are_true = True

    def write() -> None:
        nonlocal are_true
        with suppress(BrokenPipeError):
            for piece in pieces:
                if isinstance(piece, float):
                    time.sleep(piece)
                elif isinstance(piece, bytes):
                    os.write(writing, piece)
                else:
                    give_up_at = time.monotonic() + 20
                    while not (is_true := piece()) and time.monotonic() < give_up_at:
                        time.sleep(0.01)
                    are_true = are_true and is_true
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        thread.join()
    assert are_true, "what was waited for did not come"
