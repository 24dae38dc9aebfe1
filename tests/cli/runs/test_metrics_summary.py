from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from libacli.core.timeline import percentile
from libacli.core.utterance_record import UtteranceRecord
from libacli.edges.metrics.store import MetricsStore
from tests.cli.conftest import Shell
from tests.full_disk import full_disk

DAY_S = 86_400
NOON = 1_795_348_800.0
"""2026-11-22 12:00 UTC."""

ONE = UtteranceRecord(
    id="one",
    t0=NOON,
    outcome="done",
    room="demo",
    agent="liba",
    epoch="e1",
    route="avatar",
    voice="ann",
    model="m1",
    chars=12,
    frames=100,
    t3_source="reported",
    d01=300.0,
    d12=0.5,
    d2a=80.0,
    d23=2000.0,
    total=2300.5,
)

Fill = Callable[[Iterable[UtteranceRecord]], None]


@pytest.fixture
def fill(bare_shell: Shell, tmp_path: Path) -> Fill:
    """Puts records into the store that the shell's commands read."""
    bare_shell.env["XDG_STATE_HOME"] = str(tmp_path / "state")

    async def put(records: Iterable[UtteranceRecord]) -> None:
        store = MetricsStore(tmp_path / "state" / "liba" / "metrics.db", keep_days=3650, keep_mb=64)
        running = asyncio.get_running_loop().create_task(store.run())
        for record in records:
            store.add(record)
        async with asyncio.timeout(30):
            await store.flush()
        running.cancel()
        await asyncio.wait([running])

    return lambda records: asyncio.run(put(records))


@pytest.fixture
def filled(bare_shell: Shell, fill: Fill) -> Shell:
    """A shell whose store has 20 records: two routes, two voices, two days, two rooms."""
    fill(
        replace(
            ONE,
            id=f"u{number}",
            t0=NOON + number % 2 * DAY_S,
            route="avatar" if number < 15 else "track",
            voice="ann" if number < 10 else "bob",
            room="demo" if number < 18 else "hall",
            outcome="done" if number else "interrupted",
            total=None if number == 0 else 1000.0 + number,
            d01=100.0 + number,
        )
        for number in range(20)
    )
    return bare_shell


def test_without_any_record_the_summary_says_so(bare_shell: Shell, fill: Fill) -> None:
    ended = bare_shell.run("metrics", "summary")
    assert (ended.code, ended.stdout) == (0, "")
    assert "no records" in ended.stderr
    assert bare_shell.run("metrics", "summary", "--json").json["count"] == 0


def test_the_summary_tells_percentiles_of_each_route_and_of_all(filled: Shell) -> None:
    told = filled.run("metrics", "summary", "--json").json
    assert told["count"] == 20
    assert told["outcomes"] == {"interrupted": 1, "done": 19}
    assert told["durations_ms"]["d01"] == {
        "count": 20,
        "p50": 109.0,
        "p95": percentile(range(100, 120), 95),
        "p99": 119.0,
        "max": 119.0,
    }
    assert told["durations_ms"]["total"]["count"] == 19
    assert [(group["route"], group["count"]) for group in told["groups"]] == [("fallback", 5), ("tavus", 15)]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        (["voice"], [("ann",), ("bob",)]),
        (["day"], [("2026-11-22",), ("2026-11-23",)]),
        (["room", "route"], [("demo", "fallback"), ("demo", "tavus"), ("hall", "fallback")]),
    ],
)
def test_it_groups_by_what_is_asked_for(filled: Shell, by: list[str], groups: list[tuple[str, ...]]) -> None:
    flags = [part for name in by for part in ("--by", name)]
    told = filled.run("metrics", "summary", "--json", *flags).json
    assert [tuple(group[name] for name in by) for group in told["groups"]] == groups


@pytest.mark.parametrize(
    ("flags", "count"),
    [
        (("--room", "hall"), 2),
        (("--route", "fallback"), 5),
        (("--since", "2026-11-23T00:00:00+00:00"), 10),
        (("--until", "2026-11-23T00:00:00+00:00"), 10),
        (("--since", "1s", "--until", "2026-11-22T00:00:00+00:00"), 0),
    ],
)
def test_it_counts_only_what_was_selected(filled: Shell, flags: tuple[str, ...], count: int) -> None:
    assert filled.run("metrics", "summary", "--json", *flags).json["count"] == count


def test_the_table_names_what_it_shows(filled: Shell) -> None:
    lines = filled.run("metrics", "summary").stdout.splitlines()
    assert lines[0].split() == ["route", "utterances", "done", "duration", "p50", "p95", "p99", "max"]
    assert lines[1].split()[:4] == ["fallback", "5", "100", "%"]
    assert any(line.split()[:3] == ["all", "20", "95"] for line in lines)


def test_conditions_that_hold_end_with_0_and_others_with_10_and_the_value(filled: Shell) -> None:
    good = ("--assert", "d01.p95<900", "--assert", "total.count>=19")
    assert filled.run("metrics", "summary", *good).code == 0
    ended = filled.run("metrics", "summary", *good, "--assert", "d01.max<119")
    assert ended.code == 10
    assert "d01.max<119 does not hold: it is 119" in ended.stderr
    assert "tavus" in ended.stdout
    assert filled.run("metrics", "summary", "--room", "nowhere", "--assert", "d01.p95<9").code == 10


@pytest.mark.parametrize(
    "flags",
    [
        ("--assert", "d01<9"),
        ("--assert", "d99.p95<9"),
        ("--by", "moon"),
        ("--route", "moon"),
        ("--since", "soon"),
    ],
)
def test_a_mistake_is_one_of_usage(filled: Shell, flags: tuple[str, ...]) -> None:
    assert filled.run("metrics", "summary", *flags).code == 2


def test_what_is_exported_can_be_read_again_in_each_format(bare_shell: Shell, fill: Fill) -> None:
    records = [replace(ONE, id=f"u{number}", t0=NOON + number) for number in range(3)]
    fill(reversed(records))
    ndjson = bare_shell.run("metrics", "export", "--format", "ndjson").ndjson
    document = bare_shell.run("metrics", "export", "--format", "json").json
    table = list(csv.DictReader(io.StringIO(bare_shell.run("metrics", "export").stdout)))
    assert [UtteranceRecord.read(told) for told in ndjson] == records
    assert document == ndjson
    assert [row["id"] for row in table] == ["u0", "u1", "u2"]
    assert (table[0]["d01"], table[0]["waited"], table[0]["replayed"]) == ("300.0", "", "0")


def test_an_empty_store_is_exported_as_an_empty_document(bare_shell: Shell, fill: Fill) -> None:
    assert bare_shell.run("metrics", "export", "--format", "json").json == []
    assert bare_shell.run("metrics", "export", "--format", "ndjson").stdout == ""
    assert len(bare_shell.run("metrics", "export").stdout.splitlines()) == 1


def test_ids_from_outside_are_no_formulas_and_drive_no_terminal(bare_shell: Shell, fill: Fill) -> None:
    fill([replace(ONE, id="=1+1"), replace(ONE, id="\x1b[2J")])
    cells = [row["id"] for row in csv.DictReader(io.StringIO(bare_shell.run("metrics", "export").stdout))]
    assert sorted(cells) == ["'=1+1", "\\x1b[2J"]
    assert "\x1b" not in bare_shell.run("metrics", "export", "--format", "ndjson").stdout


def test_an_export_goes_to_a_new_file_and_never_over_an_old_one(
    bare_shell: Shell, fill: Fill, tmp_path: Path
) -> None:
    fill([ONE])
    file = tmp_path / "week.json"
    assert bare_shell.run("metrics", "export", "--format", "json", "-o", str(file)).code == 0
    written = file.read_text()
    assert json.loads(written)[0]["id"] == "one"
    ended = bare_shell.run("metrics", "export", "-o", str(file))
    assert ended.code == 2
    assert file.read_text() == written
    assert bare_shell.run("metrics", "export", "-o", str(tmp_path / "no" / "such")).code == 3


def test_an_export_that_finds_no_room_is_told_by_its_path_and_not_left_in_part(
    bare_shell: Shell, fill: Fill, tmp_path: Path
) -> None:
    fill([ONE])
    file = tmp_path / "week.json"
    with full_disk(after_bytes=100):
        ended = bare_shell.run("metrics", "export", "-o", str(file))
    assert ended.code == 3 and ended.stderr.startswith(f"liba: cannot write {file}: ")
    assert not file.exists()


def test_a_file_that_is_no_store_is_told_and_left_alone(
    bare_shell: Shell, fill: Fill, tmp_path: Path
) -> None:
    file = tmp_path / "state" / "liba" / "metrics.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not a database" * 1000)
    for command in ("summary", "export"):
        ended = bare_shell.run("metrics", command)
        assert ended.code == 3
        assert str(file) in ended.stderr
    assert file.read_bytes() == b"not a database" * 1000


def test_who_reads_only_the_beginning_of_an_export_gets_no_traceback(bare_shell: Shell, fill: Fill) -> None:
    import subprocess
    import sys

    fill(replace(ONE, id=f"u{number}") for number in range(3000))
    command = f"{sys.executable} -m libacli metrics export | head -n 1"
    environment: dict[str, Any] = {**_environment(), **bare_shell.env}
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment, timeout=60)
    assert ended.stdout.startswith("id,t0,outcome")
    assert ended.stderr == ""


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


PRICES = {
    "LIBA_PRICES_CURRENCY": "EUR",
    "LIBA_PRICES_VOICES": '{"m1": "15 per 1M chars"}',
    "LIBA_PRICES_AVATAR": "0.50 per minute",
}


@pytest.fixture
def spent(bare_shell: Shell, fill: Fill, tmp_path: Path) -> Shell:
    """A shell whose store has 1000 characters each for laptop and phone, some kept, and 2 min of avatar."""
    asked = replace(ONE, provider="speech", asked_chars=500, asked_ms=30_000.0)
    fill(
        replace(asked, id=f"u{number}", account=f"key K for {'laptop' if number < 2 else 'phone'}")
        for number in range(4)
    )
    fill([replace(ONE, id="kept", provider="speech", cached=True, account="key K for phone")])

    async def stay() -> None:
        store = MetricsStore(
            tmp_path / "state" / "liba" / "metrics.db",
            keep_days=3650,
            keep_mb=64,
            room="demo",
            vendor="tavus",
            clock=lambda: NOON + 120,
        )
        store.avatar_seconds(120.0)
        await store.flush()

    asyncio.run(stay())
    return bare_shell


def test_without_prices_the_cost_says_which_settings_would_tell_it(spent: Shell) -> None:
    ended = spent.run("metrics", "summary", "--cost")
    assert ended.code == 0
    assert ended.stdout.count("no price") == 3
    assert "set prices.avatar (per minute) and prices.voices with 'm1'" in ended.stderr
    assert "2,000" in ended.stdout


def test_the_cost_is_told_by_who_asked_and_the_avatars_is_nobodys(spent: Shell) -> None:
    spent.env.update(PRICES)
    told = spent.run("metrics", "summary", "--cost", "--by", "key", "--json").json
    assert (told["voices"], told["avatar"], told["total"]) == ("0.030000000", "1.000000000", "1.030000000")
    assert (told["currency"], told["cached"], told["without_price"]) == ("EUR", 1, [])
    groups = {one["key"]: (one["total"], one["avatar_min"]) for one in told["groups"]}
    assert groups == {
        "laptop": ("0.015000000", 0.0),
        "phone": ("0.015000000", 0.0),
        "avatar time": ("1.000000000", 2.0),
    }


def test_the_cost_by_room_and_day_has_the_avatars_in_it(spent: Shell) -> None:
    spent.env.update(PRICES)
    ended = spent.run("metrics", "summary", "--cost", "--by", "room", "--by", "day")
    row = ended.stdout.splitlines()[1].split()
    assert row == [
        "demo",
        "2026-11-22",
        "5",
        "2,000",
        "2.0",
        "min",
        "2.0",
        "min",
        "0.0300",
        "1.0000",
        "1.0300",
    ]
    assert ended.stderr == ""


def test_the_cost_of_a_part_of_the_time_has_that_part_of_the_avatars(spent: Shell) -> None:
    spent.env.update(PRICES)
    told = spent.run("metrics", "summary", "--cost", "--since", "2026-11-22T12:01:00+00:00", "--json").json
    assert (told["utterances"], told["avatar"]) == (0, "0.500000000")
    told = spent.run("metrics", "summary", "--cost", "--route", "fallback", "--json").json
    assert told["avatar"] == "0.000000000"


def test_the_cost_as_csv_has_a_line_for_each_group_and_no_sum(spent: Shell) -> None:
    spent.env.update(PRICES)
    rows = list(csv.DictReader(io.StringIO(spent.run("metrics", "summary", "--cost", "--csv").stdout)))
    assert [(row["day"], row["currency"], row["total"]) for row in rows] == [
        ("2026-11-22", "EUR", "1.030000000")
    ]


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "told"),
    [
        (["--csv"], {}, 2, "--csv goes with --cost"),
        (["--cost", "--csv", "--json"], {}, 2, "not both"),
        (["--cost", "--assert", "d01.p95<9"], {}, 2, "--cost takes no --assert"),
        (["--cost"], {"LIBA_PRICES_AVATAR": "much"}, 3, "prices.avatar: 'much' is not a price"),
        (["--cost"], {"LIBA_PRICES_AVATAR": "1 per 1M chars"}, 3, "prices.avatar is not for characters"),
        (["--cost"], {"LIBA_PRICES_VOICES": '{"m1": "15"}'}, 3, "prices.voices, m1: '15' is not a price"),
        (["--cost"], {"LIBA_PRICES_CURRENCY": "euros"}, 3, "prices.currency"),
    ],
)
def test_what_makes_no_bill_is_one_line(
    bare_shell: Shell, fill: Fill, arguments: list[str], environment: dict[str, str], code: int, told: str
) -> None:
    bare_shell.env.update(environment)
    ended = bare_shell.run("metrics", "summary", *arguments)
    assert ended.code == code
    assert told in ended.stderr
