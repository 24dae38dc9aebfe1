"""Standard input, output and errors, as whoever starts liba has left them."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def settle_streams() -> None:
    """Puts the null device where one is closed, for which Python has None.

    What the locale has no letter for is written as `\\u2713`.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            os.dup2(opened, number)  # else the next file or socket would have that number
            if opened != number:
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_no_more(stream: TextIO | None = None) -> None:
    """What is left in the buffer of `stream`, standard output if none is given, is lost.

    Python would try to write it once more at its end, complain, and end with 120.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())
