"""What the native part of LiveKit's SDK logs, which it hands to Python line by line, traces included.

The SDK throws nearly all of it away again: thousands of lines a second where several participants share a
process, and a fifth of its time. One that comes while the interpreter ends brings the process down.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from livekit.rtc import __version__
from livekit.rtc._ffi_client import FfiClient, ffi_event_callback

_OWN_FILTER = "RUST_LOG"
"""What the native part prints itself of what it does not hand over; it reads that once, as it begins."""


@contextmanager
def dropped() -> Iterator[None]:
    """Has it drop what it logs, in this process alone."""
    before = os.environ.get(_OWN_FILTER)
    os.environ[_OWN_FILTER] = "off"
    try:
        _hand_over(False)
    finally:
        if before is None:
            del os.environ[_OWN_FILTER]
        else:
            os.environ[_OWN_FILTER] = before
    try:
        yield
    finally:
        _hand_over(True)


@contextmanager
def handed_over() -> Iterator[None]:
    """Has it hand over what it logs, as it does in the product: for tests that look into it."""
    _hand_over(True)
    try:
        yield
    finally:
        _hand_over(False)


def _hand_over(lines: bool) -> None:
    library = FfiClient.instance._ffi_lib
    library.livekit_ffi_initialize(ffi_event_callback, lines, b"python", __version__.encode())
