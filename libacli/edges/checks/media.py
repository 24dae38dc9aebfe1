"""Whether media reaches this machine: a participant that joins for a moment, in a process of its own.

The SDK gives up after a minute only, and a join that is cancelled before ends the process it is in:
https://github.com/livekit/python-sdks/issues/784. The child gets the token on its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from livekit import rtc

from libacli.child_environment import environment_of
from libacli.edges.checks.finding import Finding
from libacli.edges.livekit.joining import joined
from libacli.errors import LibaError

_TIMEOUT_S = 9.0
_STATS_TIMEOUT_S, _STATS_PAUSE_S = 1.0, 0.05
"""A connection that has just come about is not in the statistics yet."""


async def media(ws_url: str, token: str, *, timeout_s: float = _TIMEOUT_S) -> Finding:
    """Joins with `token`, with media, and leaves again."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment_of("python"),
    )
    try:
        async with asyncio.timeout(timeout_s):
            told, _ = await child.communicate(json.dumps({"url": ws_url, "token": token}).encode())
    except TimeoutError:
        message = f"no media connection within {timeout_s:g} s, though the server answers"
        fix = "open its media ports (UDP 50000-60000 or rtc.udp_port, TCP 7881), and check its rtc.node_ip"
        return Finding("media", "fail", message, fix)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return read(told, child.returncode)


def read(told: bytes, code: int | None) -> Finding:
    """What the child has told, and its exit code, of which it depends only where it told nothing.

    Raises LibaError when it did not join.
    """
    hint = "check the server's log, and its media ports"
    if not told:
        raise LibaError(f"joining with media failed: its process ended with {code}", hint=hint)
    members = json.loads(told)
    if failure := members.get("failure"):
        raise LibaError(f"joining with media failed: {failure}", hint=hint)
    return judged(**members)


def judged(protocol: str, took_s: float) -> Finding:
    """What it means that the media connection goes over `protocol`, `udp` or `tcp`."""
    if protocol == "tcp":
        message = "media goes over TCP: sound will stutter when the network loses packets"
        return Finding("media", "warn", message, "let UDP through to the server's media ports")
    way = f" over {protocol.upper()}" if protocol else ""
    return Finding("media", "ok", f"connected{way} in {took_s * 1000:.0f} ms")


async def _join(url: str, token: str) -> None:
    """Tells what came of it before it leaves: on its way out the SDK has brought down a process or two."""
    room, began_at = rtc.Room(), time.monotonic()
    try:
        async with joined(room, url, token, auto_subscribe=False):
            took_s = time.monotonic() - began_at
            _tell(protocol=await _protocol_of(room), took_s=took_s)
    except LibaError as error:
        _tell(failure=str(error))


def _tell(**members: Any) -> None:
    sys.stdout.write(json.dumps(members))
    sys.stdout.flush()


async def _protocol_of(room: rtc.Room) -> str:
    protocol, until = "", time.monotonic() + _STATS_TIMEOUT_S
    while not protocol and time.monotonic() < until:
        stats = await room.get_rtc_stats()
        protocol = _protocol([*stats.subscriber_stats, *stats.publisher_stats])
        await asyncio.sleep(_STATS_PAUSE_S)
    return protocol


def _protocol(stats: list[Any]) -> str:
    """Protocol of the pair of addresses that was chosen, "" where that is not told."""
    chosen = {one.transport.transport.selected_candidate_pair_id for one in stats} - {""}
    pairs = [one.candidate_pair for one in stats if one.candidate_pair.rtc.id in chosen]
    ends = {pair.candidate_pair.local_candidate_id for pair in pairs}
    for one in stats:
        if one.local_candidate.rtc.id in ends:
            return str(one.local_candidate.candidate.protocol)
    return ""


if __name__ == "__main__":
    invitation = json.load(sys.stdin)
    asyncio.run(_join(invitation["url"], invitation["token"]))
