"""liba: make a digital human in a LiveKit room say exactly this text, now.

From a program: `from libacli import Client`; see `libacli.client`. Its errors are those of `libacli.errors`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from libacli.client import Client

__all__ = ["Client", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`Client` is loaded when somebody asks for it: every command of `liba` loads this module."""
    if name != "Client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from libacli.client import Client

    return Client
