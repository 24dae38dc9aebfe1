"""liba demo"""

from __future__ import annotations


def demo() -> None:
    """Start everything on this machine, speak, and prove that it was heard."""
