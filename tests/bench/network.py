"""Speech over a bad network: `python -m tests.bench.network [--minutes 5]`. Needs root, on Linux.

A LiveKit server on a machine of its own (a network namespace), and two viewers on machines that reach it
through a relay each: one that does nothing, and one that delays, jitters, loses and reorders packets by a
seed. Agents, avatar service and a seat that listens are beside the server. liba and the stock session take
turns, each with relays anew, of the same seed; both have the same voice, the embedded one, and speak through
the local avatar, or with `--route track` on tracks of their own. Viewers are programs, or with
`--viewers page` browsers at the page, whose sound and picture are those that it plays and shows. Each line is
heard by both viewers and by the seat at the same time:

errors   words that speech recognition gets wrong, of all that were meant
holes    silences beyond the pauses of the voice: how many are longer than 120 ms, and the longest
lips     by how much the picture came later than its sound, least, median, most; less than 0: earlier
seen     lines of which that can be told
later    than at the seat the first sound was here, median
         of a page sound is taken behind WebAudio, which is later by an amount that browsers do not tell
kept     how long the receiver kept sound in its jitter buffer, on average; of a page it is not told
made up  part of the sound that the receiver invented for packets that were lost or late; of a page neither
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from libacli.child_environment import environment_of
from libacli.config import LiveKitCredentials
from libacli.edges.livekit.tokens import listener_token
from libacli.local.guard import GuardedProcess
from tests.bench.agents_and_seats import LIBA, STOCK, Kind, RunningAgents, Seat
from tests.bench.avatar_agents import avatar_service, through_avatar
from tests.bench.embedded_server import EmbeddedServer
from tests.bench.far_page import page_viewer
from tests.bench.far_viewer import Kept
from tests.bench.local_stack import Stack
from tests.bench.network_report import Line, Row, row_of, table
from tests.far import Far, far_from
from tests.impairment import Conditions
from tests.lip_closure import ORDINARY
from tests.live.cluster.nodes import ROOT, Node, node
from tests.machines import Network
from tests.relay import Counts

LINES = ORDINARY[:20]
"""Of the Harvard sentences (IEEE Recommended Practice for Speech Quality Measurements, 1969)."""

BAD = Conditions(delay_ms=80, jitter_ms=40, loss=0.03, reorder=0.02)
_KINDS = {"liba": LIBA, "stock": STOCK}
_QUIET_S = 0.6
"""After so long a line is over: longer than any pause in it."""

_APART_S = 1.2
"""From the end of a line to the next: what comes late is still of it."""

_LINE_TIMEOUT_S = 40.0
_JOIN_TIMEOUT_S = 60.0
_LEAVE_S = 10.0
_NICENESS = -10
"""All that is started here goes before what else the machine does, which is no part of the network."""


@dataclass(frozen=True)
class Plan:
    """What the bench was asked for."""

    agents: Sequence[str]
    """Their names in `_KINDS`, in the order of their turns."""

    seconds: float
    bad: Conditions
    seed: int
    size: int
    """Of the picture, in pixels."""

    is_downlink_only: bool
    is_on_track: bool
    is_at_page: bool
    networks: Sequence[str]
    """Those on which there is a viewer: `clean`, `bad`."""


class FarViewer(Protocol):
    """Somebody on a far machine."""

    async def joined(self) -> None:
        """Waits until sound and picture can be there."""

    async def end(self) -> tuple[Kept, Counts]:
        """What they got, and what the network did on the way to them."""


class Program:
    """A far viewer that is a process of its own, which keeps all that it gets."""

    def __init__(self, far: Far, process: GuardedProcess, folder: Path) -> None:
        self._far, self._process, self._folder = far, process, folder

    async def joined(self) -> None:
        """Waits until sound and picture have arrived."""
        async with asyncio.timeout(_JOIN_TIMEOUT_S):
            while "ready" not in (told := (self._folder / "viewer.log").read_text()):
                if self._process.poll() is not None:
                    raise RuntimeError(f"a viewer has left:\n{told}")
                await asyncio.sleep(0.05)

    async def end(self) -> tuple[Kept, Counts]:
        """What it got, and what the network did on the way to it."""
        await asyncio.to_thread(self._process.terminate)
        return await asyncio.to_thread(Kept.read, self._folder), self._far.end()["downlink"]


class Bench:
    """One run."""

    def __init__(
        self, plan: Plan, network: Network, server: Node, stack: Stack, voice: EmbeddedServer
    ) -> None:
        self._plan, self._network, self._server, self._stack = plan, network, server, stack
        self._voice = voice
        self._agents = RunningAgents(stack, voice.base_url)

    async def measure(self, kind: Kind) -> list[Row]:
        """What both viewers got of that agent."""
        conditions_of = {"clean": Conditions(), "bad": self._plan.bad}
        async with self._agents.seats(kind, 1) as ((seat,), _), AsyncExitStack() as stack:
            viewers = {
                name: await stack.enter_async_context(
                    self._viewer(kind, seat.room, name, conditions_of[name])
                )
                for name in self._plan.networks
            }
            for viewer in viewers.values():
                await viewer.joined()
            _progress(f"{kind.name}: the viewers are there")
            lines = await self._lines(kind, seat)
            kept = {name: await viewer.end() for name, viewer in viewers.items()}
        rows = []
        for name, (got, counts) in kept.items():
            _progress(f"{kind.name}, {name}: recognising what was heard")
            rows.append(await asyncio.to_thread(row_of, kind.name, name, lines, got, counts))
        return rows

    async def measure_avatar(self, kind: Kind) -> list[Row]:
        """The same through an avatar."""
        with avatar_service(self._stack.folder, size=self._plan.size) as service:
            return await self.measure(through_avatar(kind, service))

    async def _lines(self, kind: Kind, seat: Seat) -> list[Line]:
        """Has lines spoken for as long as was asked for; the first one is not counted."""
        now = asyncio.get_running_loop().time
        lines: list[Line] = []
        await self._line(seat, LINES[-1])
        began_at = now()
        for text in itertools.cycle(LINES):
            if now() - began_at >= self._plan.seconds:
                return lines
            lines.append(await self._line(seat, text))
            _progress(
                f"{kind.name}: {now() - began_at:.0f} of {self._plan.seconds:.0f} s, {len(lines)} lines"
            )
        raise AssertionError("a cycle ends never")

    async def _line(self, seat: Seat, text: str) -> Line:
        hearing = seat.listen(quiet_s=_QUIET_S)
        _, sent_at = await seat.send(text)
        try:
            async with asyncio.timeout(_LINE_TIMEOUT_S):
                await hearing.ended.wait()
        except TimeoutError as error:
            raise seat.failure(f"was not heard to the end beside the server: {text!r}") from error
        await asyncio.sleep(_APART_S)
        ended_at, beside_at = asyncio.get_running_loop().time(), hearing.first_audible_at
        assert beside_at is not None
        return Line(text, sent_at, ended_at, beside_at, await self._voice.said(text))

    @asynccontextmanager
    async def _viewer(
        self, kind: Kind, room: str, name: str, conditions: Conditions
    ) -> AsyncIterator[FarViewer]:
        folder = self._stack.folder / f"{room}-{name}"
        folder.mkdir()
        uplink = Conditions() if self._plan.is_downlink_only else conditions
        far = far_from(
            self._server.machine, self._network, folder, conditions, seed=self._plan.seed, uplink=uplink
        )
        viewer = self._page if self._plan.is_at_page else self._program
        with far as there:
            async with viewer(kind, room, name, there, folder) as found:
                yield found

    def _page(
        self, kind: Kind, room: str, name: str, far: Far, folder: Path
    ) -> AbstractAsyncContextManager[FarViewer]:
        return page_viewer(far, folder, self._stack.env, room, kind.agent_name or "")

    @asynccontextmanager
    async def _program(
        self, kind: Kind, room: str, name: str, far: Far, folder: Path
    ) -> AsyncIterator[FarViewer]:
        token = listener_token(self._stack.credentials, room=room, identity=f"far-{name}")
        env = environment_of("python") | {
            "LIVEKIT_URL": self._stack.credentials.ws_url,
            "LIVEKIT_TOKEN": token,
            "HEARD_FROM": kind.heard_from,
            "SEES": "1" if kind.heard_from else "",
        }
        command = [sys.executable, "-m", "tests.bench.far_viewer", str(folder)]
        with (
            (folder / "viewer.log").open("wb") as log,
            far.machine.start(command, log, env=env, cwd=ROOT, grace_s=_LEAVE_S) as process,
        ):
            yield Program(far, process, folder)


async def _run(plan: Plan) -> list[Row]:
    key, secret = f"liba{secrets.token_hex(4)}", secrets.token_hex(32)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as place, Network() as network:
        folder = Path(place)
        server = node(network.machine(), folder, {key: secret})
        await asyncio.to_thread(server.start)
        try:
            stack = Stack(LiveKitCredentials(server.ws_url, key, SecretStr(secret)), folder)
            async with EmbeddedServer() as voice:
                bench = Bench(plan, network, server, stack, voice)
                for kind in (_KINDS[name] for name in plan.agents):
                    rows += await (bench.measure(kind) if plan.is_on_track else bench.measure_avatar(kind))
        finally:
            await asyncio.to_thread(server.end)
    return rows


def _progress(message: str) -> None:
    print(f"\r{message:60}", end="", file=sys.stderr, flush=True)


def _plan(arguments: Sequence[str] | None = None) -> tuple[Plan, bool]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="of lines, for each of the two agents")
    parser.add_argument(
        "--agents", nargs="+", choices=list(_KINDS), default=list(_KINDS), help="in this order"
    )
    parser.add_argument("--route", choices=("avatar", "track"), default="avatar")
    parser.add_argument("--viewers", choices=("program", "page"), default="program")
    parser.add_argument(
        "--networks", nargs="+", choices=("clean", "bad"), default=("clean", "bad"), help="where a viewer is"
    )
    parser.add_argument("--delay", type=float, default=BAD.delay_ms, help="milliseconds")
    parser.add_argument("--jitter", type=float, default=BAD.jitter_ms, help="so much less or more")
    parser.add_argument("--loss", type=float, default=100 * BAD.loss, help="per cent")
    parser.add_argument("--reorder", type=float, default=100 * BAD.reorder, help="per cent that may overtake")
    parser.add_argument("--downlink-only", action="store_true", help="the way from the viewer is clean")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=256, help="of the picture, in pixels")
    parser.add_argument("--json", action="store_true", help="all numbers as JSON")
    told = parser.parse_args(arguments)
    bad = Conditions(told.delay, told.jitter, told.loss / 100, told.reorder / 100)
    plan = Plan(
        agents=told.agents,
        seconds=60 * told.minutes,
        bad=bad,
        seed=told.seed,
        size=told.size,
        is_downlink_only=told.downlink_only,
        is_on_track=told.route == "track",
        is_at_page=told.viewers == "page",
        networks=told.networks,
    )
    return plan, told.json


def main() -> None:
    plan, as_json = _plan()
    os.nice(_NICENESS)
    rows = asyncio.run(_run(plan))
    _progress("")
    print(
        f"\rbad: {plan.bad.delay_ms:g} ± {plan.bad.jitter_ms:g} ms, {plan.bad.loss:.0%} lost, "
        f"{plan.bad.reorder:.0%} may overtake, {'down' if plan.is_downlink_only else 'both ways'}, "
        f"seed {plan.seed}; {plan.seconds:.0f} s of lines each",
        file=sys.stderr,
    )
    print(json.dumps([asdict(row) for row in rows], indent=2) if as_json else table(rows))


if __name__ == "__main__":
    main()
