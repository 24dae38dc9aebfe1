"""Standard input, output and errors, as whoever starts liba has left them."""

from __future__ import annotations

import io
import os
import sys


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


def write_no_more() -> None:
    """What is left in the buffer of standard output is lost: else Python complains of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
