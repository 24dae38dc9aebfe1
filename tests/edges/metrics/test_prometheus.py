from __future__ import annotations

import asyncio
import logging
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from livekit.agents.telemetry.metrics import RUNNING_JOB_GAUGE
from prometheus_client import Metric, generate_latest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from libacli import __version__
from libacli.core.trace_context import UNTRACED, TraceContext
from libacli.core.usage import Usage
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.meter import Meter
from libacli.edges.metrics.prometheus import REASONS, ROUTES, PrometheusMeter, exposing
from libacli.edges.metrics.rooms_to_worker import RoomMeter, gathering
from libacli.errors import ConfigError

DONE = UtteranceRecord(
    "u1", 1_800_000_000.0, "done", room="secret-room", agent="liba", epoch="e1", route="avatar", chars=40,
    chunks=2, frames=100, underruns=1, t3_source="reported",
    waited=1.0, d01=250.0, d12=4.0, d2a=180.0, d23=2000.0, total=2254.0,
)  # fmt: skip
FELL_BACK = replace(DONE, id="u2", route="track", route_reason="402", replayed=True, underruns=2, hedged=True)
CACHED = replace(DONE, id="u4", cached=True)
EXPIRED = UtteranceRecord("u3", 1_800_000_000.0, "expired", chars=7)

CHILD = """
import sys
from pathlib import Path
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.meter import Meter
from libacli.edges.metrics.rooms_to_worker import RoomMeter
meter = RoomMeter(Path(sys.argv[1]))
meter.observe(UtteranceRecord("u1", 1.0, "done", route="avatar", chars=10, chunks=1, d01=100.0, total=900.0))
meter.queue(3)
meter.avatar_seconds(5.0)
sys.stdin.read()
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def meter() -> PrometheusMeter:
    return PrometheusMeter()


@pytest.fixture
async def address(meter: PrometheusMeter) -> AsyncIterator[Path]:
    async with gathering(meter) as address:
        yield address


def values(meter: PrometheusMeter) -> dict[str, float]:
    """Every sample in a scrape, as the line of the text format names it, read by the client's parser."""
    return flat(text_string_to_metric_families(generate_latest(meter.registry).decode()))


def flat(families: Iterable[Metric]) -> dict[str, float]:
    return {
        sample.name + "".join(f"|{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is not in this process
            await asyncio.sleep(0.005)


def get(url: str, accept: str = "") -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers={"Accept": accept})) as answer:
        return str(answer.read().decode())


async def test_a_scrape_tells_what_was_observed(meter: PrometheusMeter) -> None:
    for record in (DONE, replace(DONE, d01=950.0), FELL_BACK, EXPIRED, replace(CACHED, d01=None)):
        meter.observe(record)
    meter.refuse("queue_full")
    async with exposing(meter, "127.0.0.1", 0) as port:
        text = await asyncio.to_thread(get, f"http://127.0.0.1:{port}/metrics")
    seen = flat(text_string_to_metric_families(text))
    assert seen["liba_voice_duration_seconds_count|tavus"] == 2
    assert seen["liba_voice_duration_seconds_sum|tavus"] == pytest.approx(1.2)
    assert seen["liba_voice_duration_seconds_bucket|0.2|tavus"] == 0
    assert seen["liba_voice_duration_seconds_bucket|0.3|tavus"] == 1
    assert seen["liba_voice_duration_seconds_bucket|1.2|tavus"] == 2
    assert seen["liba_sink_duration_seconds_sum|fallback"] == pytest.approx(0.004)
    assert seen["liba_audible_duration_seconds_sum|fallback"] == pytest.approx(0.18)
    assert seen["liba_utterance_duration_seconds_sum|fallback"] == pytest.approx(2.254)
    assert seen["liba_utterances_total|done|tavus"] == 3
    assert seen["liba_utterances_total|done|fallback"] == 1
    assert seen["liba_utterances_total|expired|none"] == 1
    assert seen["liba_utterances_total|rejected|none"] == 1
    assert seen["liba_utterances_total|failed|tavus"] == 0  # it is there before it happens
    assert seen["liba_rejected_total|queue_full"] == 1
    assert (
        seen["liba_characters_total"] == 120
    )  # what expired or was said from memory was never handed to the voice
    assert seen["liba_underruns_total"] == 5
    assert seen["liba_replayed_total"] == 1
    assert seen["liba_voice_cache_hits_total"] == 1
    assert seen["liba_voice_hedges_total"] == 1


async def test_a_scrape_for_openmetrics_is_valid_and_says_the_same(meter: PrometheusMeter) -> None:
    meter.observe(DONE)
    async with exposing(meter, "127.0.0.1", 0) as port:
        text = await asyncio.to_thread(
            get, f"http://127.0.0.1:{port}/metrics", "application/openmetrics-text; version=1.0.0"
        )
    assert text.endswith("# EOF\n")
    seen = flat(openmetrics_parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    assert seen["liba_utterances_total|done|tavus"] == 1
    assert seen["liba_voice_duration_seconds_sum|tavus"] == pytest.approx(0.25)


def test_no_label_can_take_more_values_than_are_known(meter: PrometheusMeter) -> None:
    before = len(values(meter))
    for number in range(50):
        meter.refuse(f"reason-{number}")
        meter.observe(replace(EXPIRED, id=f"u{number}", room=f"room-{number}", voice=f"v{number}"))
        meter.observe(replace(EXPIRED, t3_source=f"source-{number}", epoch=f"e{number}"))
    seen = values(meter)
    assert len(seen) == before
    assert seen["liba_rejected_total|other"] == 50
    assert seen["liba_utterances_total|expired|none"] == 100
    labels = {
        (name, value)
        for family in meter.registry.collect()
        if family.name != "liba_build"  # versions: one of each
        for sample in family.samples
        for name, value in sample.labels.items()
        if name != "le"
    }
    assert {name for name, _ in labels} == {"route", "outcome", "reason"}
    assert {value for name, value in labels if name == "route"} == set(ROUTES)
    assert {value for name, value in labels if name == "reason"} == set(REASONS)
    assert "secret-room" not in generate_latest(meter.registry).decode()


async def test_rooms_in_threads_of_one_process_add_up(meter: PrometheusMeter, address: Path) -> None:
    gate = threading.Event()

    async def room(queue: int) -> None:
        line = RoomMeter(address)
        line.observe(DONE)
        line.refuse("unauthorized")
        line.queue(queue)
        line.avatar_seconds(1.5)
        assert gate.wait(10)
        await line.aclose()

    threads = [threading.Thread(target=lambda queue=queue: asyncio.run(room(queue))) for queue in (1, 4)]
    for thread in threads:
        thread.start()
    await until(lambda: values(meter)["liba_queue_length"] == 5)
    seen = values(meter)
    assert (seen["liba_rooms_in_use"], seen["liba_utterances_total|done|tavus"]) == (2, 2)
    assert (seen["liba_rejected_total|unauthorized"], seen["liba_avatar_seconds_total"]) == (2, 3)
    gate.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    await until(lambda: values(meter)["liba_rooms_in_use"] == 0)
    seen = values(meter)
    assert (seen["liba_queue_length"], seen["liba_utterances_total|done|tavus"]) == (0, 2)


async def test_totals_outlive_a_room_that_is_killed_and_what_it_had_is_gone(
    meter: PrometheusMeter, address: Path
) -> None:
    command = [sys.executable, "-c", CHILD, str(address)]
    children = [
        await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE) for _ in range(3)
    ]
    try:
        await until(lambda: values(meter)["liba_queue_length"] == 9)
        assert values(meter)["liba_rooms_in_use"] == 3
        children[0].send_signal(signal.SIGKILL)
        assert await children[0].wait() == -signal.SIGKILL
        await until(lambda: values(meter)["liba_rooms_in_use"] == 2)
        assert values(meter)["liba_queue_length"] == 6
        children[1].stdin.close()  # type: ignore[union-attr]
        assert await children[1].wait() == 0
        await until(lambda: values(meter)["liba_rooms_in_use"] == 1)
    finally:
        for child in children:
            if child.returncode is None:
                child.kill()
                await child.wait()
    await until(lambda: values(meter)["liba_rooms_in_use"] == 0)
    seen = values(meter)
    assert (seen["liba_queue_length"], seen["liba_utterances_total|done|tavus"]) == (0, 3)
    assert (seen["liba_avatar_seconds_total"], seen["liba_characters_total"]) == (15, 30)


async def test_hundreds_of_rooms_one_after_the_other_leave_nothing_but_their_totals(
    meter: PrometheusMeter, address: Path
) -> None:
    before = len(values(meter))
    for _ in range(300):
        line = RoomMeter(address)
        line.observe(DONE)
        await line.aclose()
        await asyncio.sleep(0)
    await until(lambda: values(meter)["liba_utterances_total|done|tavus"] == 300)
    await until(lambda: values(meter)["liba_rooms_in_use"] == 0)
    assert len(values(meter)) == before
    assert [file.name for file in address.parent.iterdir()] == [address.name]


async def test_the_last_words_of_a_room_are_counted_and_the_folder_is_gone(meter: PrometheusMeter) -> None:
    async with gathering(meter) as address:
        line = RoomMeter(address)
        await until(lambda: values(meter)["liba_rooms_in_use"] == 1)
        line.observe(DONE)
        await line.aclose()
    assert values(meter)["liba_utterances_total|done|tavus"] == 1
    assert not address.parent.exists()


async def test_a_worker_that_does_not_read_costs_metrics_and_no_time(
    meter: PrometheusMeter, address: Path
) -> None:
    line = RoomMeter(address)
    began_at = time.thread_time()  # of this thread alone: what others do on the machine is not counted
    for _ in range(5000):  # more than the socket holds, and nobody reads while this loop runs
        line.observe(DONE)
    assert time.thread_time() - began_at < 2
    await until(lambda: values(meter)["liba_utterances_total|done|tavus"] > 100)
    line.queue(2)
    await until(lambda: values(meter)["liba_queue_length"] == 2)
    await line.aclose()


async def test_avatar_time_that_was_not_told_is_told_later_and_none_twice(
    meter: PrometheusMeter, address: Path
) -> None:
    line = RoomMeter(address)
    line.avatar_seconds(10.0)
    for _ in range(5000):
        line.observe(DONE)
    line.avatar_seconds(7.0)  # nobody reads: it is not taken
    await until(lambda: values(meter)["liba_avatar_seconds_total"] == 10)
    line.avatar_seconds(5.0)
    await until(lambda: values(meter)["liba_avatar_seconds_total"] == 22)
    await line.aclose()


async def test_a_worker_that_is_gone_costs_metrics_only(tmp_path: Path) -> None:
    line = RoomMeter(tmp_path / "nobody")
    line.observe(DONE)
    line.refuse("queue_full")
    line.queue(1)
    line.avatar_seconds(1.0)
    await line.aclose()
    line.observe(DONE)


async def test_a_room_whose_worker_goes_away_goes_on(meter: PrometheusMeter) -> None:
    async with gathering(meter) as address:
        line = RoomMeter(address)
        await until(lambda: values(meter)["liba_rooms_in_use"] == 1)  # it holds on: the worker cuts it
    for _ in range(3):
        line.observe(DONE)
    await line.aclose()
    assert values(meter)["liba_rooms_in_use"] == 0


async def test_a_scrape_tells_what_runs_there_what_the_process_uses_and_what_the_sdk_counts(
    meter: PrometheusMeter,
) -> None:
    RUNNING_JOB_GAUGE.labels("here").set(3)
    try:
        async with exposing(meter, "127.0.0.1", 0) as port:
            text = await asyncio.to_thread(get, f"http://127.0.0.1:{port}/metrics")
    finally:
        RUNNING_JOB_GAUGE.clear()
    seen = flat(text_string_to_metric_families(text))
    assert seen[f"liba_build_info|{version('livekit-agents')}|{platform.python_version()}|{__version__}"] == 1
    assert seen["process_resident_memory_bytes"] > 1_000_000
    assert seen["process_start_time_seconds"] > 1_000_000_000
    assert seen["lk_agents_active_job_count|here"] == 3
    assert "lk_agents_worker_load" in text and "lk_agents_proc_initialize_duration_seconds" in text
    assert "python_gc" not in text


async def test_rooms_in_use_stand_beside_the_most_that_there_may_be() -> None:
    meter = PrometheusMeter(rooms_max=8)
    meter.room_opened(1)
    assert (values(meter)["liba_rooms_in_use"], values(meter)["liba_rooms_max"]) == (1, 8)


def test_a_line_that_another_voice_spoke_counts_as_failed_over(meter: PrometheusMeter) -> None:
    meter.observe(DONE)
    meter.observe(replace(DONE, id="u9", voice_reason="openai: 503"))
    assert values(meter)["liba_voice_failovers_total"] == 1


async def test_of_what_rooms_know_of_a_cap_the_most_counts_and_nothing_is_told_once_they_are_gone(
    meter: PrometheusMeter, address: Path
) -> None:
    first, second = RoomMeter(address), RoomMeter(address)
    first.spent([Usage("speech", 500, 1000, "characters", 60), Usage("your requests", 1, 2, "requests", 1)])
    second.spent([Usage("speech", 600, 1000, "characters", 60), Usage("avatar", 9, 10, "minutes", 60)])
    await until(lambda: values(meter).get("liba_spend_used_ratio|characters") == 0.6)
    await until(lambda: values(meter).get("liba_spend_used_ratio|avatar_minutes") == 0.9)
    assert sum("spend_used" in name for name in values(meter)) == 2
    await first.aclose()
    await second.aclose()
    await until(lambda: not any("spend_used" in name for name in values(meter)))


@pytest.mark.parametrize(
    "nonsense",
    [
        b"{]",
        b"31415",
        b"{}",
        b'{"record": {"id": 3}}',
        b'{"queue": "many"}',
        b'{"spent": {"speech": "a lot"}}',
        b"\xff",
    ],
    ids=repr,
)
async def test_what_is_not_understood_is_passed_over(
    meter: PrometheusMeter, address: Path, nonsense: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_unix_connection(address)
    writer.write(nonsense + b'\n{"refused": "draining"}\n')
    await until(lambda: values(meter)["liba_rejected_total|draining"] == 1)
    told = [
        one for one in caplog.records if one.name.startswith("liba.")
    ]  # not what another test's loop left
    assert [one.levelno for one in told] == [logging.WARNING]
    assert nonsense.decode(errors="replace") not in caplog.text.replace("{}", "")
    writer.close()
    await writer.wait_closed()


async def test_a_line_without_an_end_is_cut(meter: PrometheusMeter, address: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(address)
    writer.write(b"x" * 200_000)
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    assert values(meter)["liba_rooms_in_use"] == 0
    writer.transport.abort()


async def test_other_meters_hear_the_same(meter: PrometheusMeter) -> None:
    class Notes(Meter):
        def __init__(self) -> None:
            self.heard: list[UtteranceRecord | str] = []

        def observe(self, record: UtteranceRecord, trace: TraceContext = UNTRACED) -> None:
            self.heard.append(record)

        def refuse(self, reason: str) -> None:
            self.heard.append(reason)

    notes = Notes()
    async with gathering(meter, notes) as address:
        line = RoomMeter(address)
        line.observe(FELL_BACK)
        line.refuse("queue_full")
        await until(lambda: len(notes.heard) == 2)
        await line.aclose()
    assert notes.heard == [FELL_BACK, "queue_full"]


async def test_a_port_that_is_taken_is_told_with_the_setting(meter: PrometheusMeter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: Address already in use") as caught:
            async with exposing(meter, "127.0.0.1", port):
                pass
    assert "metrics.prometheus_port" in caught.value.hint


async def test_an_address_of_another_machine_is_told_with_the_setting(meter: PrometheusMeter) -> None:
    with pytest.raises(ConfigError) as caught:
        async with exposing(meter, "192.0.2.1", 0):
            pass
    assert "metrics.prometheus_host" in caught.value.hint


def test_a_multiprocess_folder_in_the_environment_does_no_harm(tmp_path: Path) -> None:
    code = (
        "from libacli.edges.metrics.prometheus import *; meter = PrometheusMeter(); meter.room_opened(1);"
        "meter.observe(UtteranceRecord('u', 1.0, 'done', route='avatar', chars=3, chunks=1));"
        "from prometheus_client import generate_latest; print(generate_latest(meter.registry).decode())"
    )
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "not there yet")}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    seen = flat(text_string_to_metric_families(ended.stdout))
    assert (seen["liba_rooms_in_use"], seen["liba_characters_total"]) == (1, 3)


async def test_the_port_is_free_again_afterwards(meter: PrometheusMeter) -> None:
    async with exposing(meter, "127.0.0.1", 0) as port:
        pass
    async with exposing(meter, "127.0.0.1", port) as again:
        assert again == port
