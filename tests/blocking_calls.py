"""What may not be called on an event loop's thread, and who may still: BlockBuster, in every async test."""

from __future__ import annotations

from typing import NamedTuple

from blockbuster import BlockBuster

SCANNED = ["libacli"]
"""A call counts when our own code stands above it: a test may read a log where it stands."""


class Exempt(NamedTuple):
    """A function under which everything may block, and why it may."""

    file: str
    """The end of its path."""

    function: str
    why: str


_QUICK = ("os.stat", "os.access", "os.path.abspath", "os.path.islink", "os.path.ismount", "os.getcwd")
"""Answered from memory within microseconds: whether a file is there may be asked anywhere."""

_ANY = "*"
"""Every function of the file."""

_EXEMPT = [
    Exempt("<frozen importlib._bootstrap>", "_find_and_load", "what is imported late is read once"),
    Exempt("logging/__init__.py", "emit", "a line of the log is out at once, or not there after a crash"),
    Exempt("httpcore2/_ssl.py", "default_ssl_context", "a client reads its certificates when it is made"),
    Exempt("inspect.py", "getsourcelines", "FastAPI names the route of an exception"),
    Exempt("subprocess.py", "_execute_child", "a start takes some ms, asyncio's own no fewer"),
    Exempt("tests/live/conftest.py", "running", "the test waits where it stands for the end of what it ran"),
    Exempt("tests/live/node.py", _ANY, "the test waits where it stands until the server is there, or gone"),
    Exempt("libacli/local/guard.py", _ANY, "who ends a child waits for it where he stands, and ends himself"),
    Exempt("opentelemetry/sdk/resources/__init__.py", "get_aggregated_resources", "at a worker's start"),
    Exempt("redis/utils.py", "get_lib_version", "for each connection the client reads what version it is"),
    Exempt("libacli/config_sources.py", "load", "settings are read before anything runs"),
    Exempt("libacli/edges/metrics/rooms_to_worker.py", "gathering", "a folder, at a worker's start and end"),
    Exempt("libacli/edges/avatars/ledger.py", _ANY, "some 200 bytes, on the disk before they cost money"),
    Exempt("libacli/shared_counts.py", "_own_word", "32 bytes, once in a process, before its first room"),
    Exempt("libacli/edges/viewer/file_writer.py", "check_space", "before a recording begins: a statvfs"),
    Exempt("tests/edges/metrics/test_store.py", _ANY, "the test looks into the file where it stands"),
    Exempt(
        "test_store.py", "test_a_reader_may_go_from_thread_to_thread", "this loop's thread is one of them"
    ),
]


class _Everything(frozenset[str]):
    def __contains__(self, _: object) -> bool:
        return True


def forbid() -> BlockBuster:
    """From now on such a call raises BlockingError wherever a loop runs in its thread."""
    blockbuster = BlockBuster(SCANNED)
    for name in _QUICK:
        del blockbuster.functions[name]
    for function in blockbuster.functions.values():
        for exempt in _EXEMPT:
            which = _Everything() if exempt.function == _ANY else {exempt.function}
            function.can_block_in(exempt.file, which)
    blockbuster.activate()
    return blockbuster
