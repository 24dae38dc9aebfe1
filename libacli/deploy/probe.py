"""What a container asks itself to know whether it is well: Docker has no probe of its own."""

from __future__ import annotations


def probe(port: int) -> str:
    """A program for `python -c`: its exit code is 0 when the container's own /healthz answers 200.

    It passes every proxy by, and holds no double quote.
    """
    return (
        f"import http.client as h; c = h.HTTPConnection('127.0.0.1', {port}, timeout=4); "
        "c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"
    )
