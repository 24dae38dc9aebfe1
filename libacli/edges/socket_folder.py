"""A folder of this user alone in which a socket can have its address, which must be short."""

from __future__ import annotations

import tempfile

_LONGEST_PARENT = 80
"""Characters. An address may have about 100: `sun_path`, unix(7)."""


def socket_folder() -> tempfile.TemporaryDirectory[str]:
    """Made anew, and gone with its context or its `cleanup`. Raises OSError."""
    parent = None if len(tempfile.gettempdir()) < _LONGEST_PARENT else "/tmp"
    return tempfile.TemporaryDirectory(prefix="liba-", dir=parent, ignore_cleanup_errors=True)
