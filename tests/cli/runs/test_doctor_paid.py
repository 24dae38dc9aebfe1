"""What `liba doctor --paid` makes of what it saw. That it goes the way is in tests/live/test_doctor.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from libacli import __version__
from libacli.cli.runs.doctor_paid import Outcome, facts_of, judged
from libacli.cli.screens.doctor_findings import show_report
from libacli.config import Settings
from libacli.config_sources import load
from libacli.core.event import Report
from tests.canaries import secret_settings, secrets_in
from tests.cli.conftest import Shell

WITH_AVATAR = Settings(tavus_api_key=SecretStr("key"), tavus_face_id="face")
BY_AVATAR = Report("u1", "done", route="avatar")
BY_TRACK = Report("u1", "done", route="track", route_reason="402")


@pytest.mark.parametrize(
    ("settings", "outcome", "verdict", "words"),
    [
        (WITH_AVATAR, Outcome(BY_AVATAR, 0.6, 712.4), "ok", "one word was heard by the avatar, 712 ms after"),
        (Settings(), Outcome(BY_TRACK, 0.6, 80.0), "ok", "one word was heard by the track, 80 ms after"),
        (WITH_AVATAR, Outcome(BY_TRACK, 0.6, 80.0), "warn", "without the avatar: 402"),
        (WITH_AVATAR, Outcome(BY_AVATAR), "fail", "the agent spoke, and a viewer of ours heard nothing"),
        (
            WITH_AVATAR,
            Outcome(Report("u1", "failed", reason="the voice refused")),
            "fail",
            "the word was not spoken: failed, the voice refused",
        ),
        (WITH_AVATAR, Outcome(), "fail", "the word was not spoken: no report"),
    ],
)
def test_what_was_heard_and_by_which_way_is_told(
    settings: Settings, outcome: Outcome, verdict: str, words: str
) -> None:
    finding = judged(settings, outcome, {"ended": 1234})
    assert (finding.verdict, finding.name) == (verdict, "whole way")
    assert words in finding.message


def test_a_conversation_that_was_left_behind_is_worse_than_all_else() -> None:
    finding = judged(WITH_AVATAR, Outcome(BY_AVATAR, 0.6, 700.0, ("c123",)), {})
    assert (finding.verdict, finding.fix) == ("fail", "liba reap")
    assert "not ended: conversation c123" in finding.message


def test_the_report_has_versions_addresses_and_settings_and_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = secret_settings(openai="speech:1", tavus="tavus:2")
    variables |= {
        "LIVEKIT_URL": "wss://mine.livekit.cloud",
        "LIVEKIT_API_KEY": "key",
        "LIBA_SAY_ROOM": "hall",
    }
    loaded = load(environment=variables, folder=tmp_path, user_file=tmp_path / "none", projects_file=tmp_path)
    facts = facts_of(loaded)
    assert facts["liba"] == __version__
    assert facts["packages"]["livekit-agents"].startswith("1.")
    assert facts["addresses"] == {
        "livekit": "wss://mine.livekit.cloud",
        "speech": "http://[secret]@speech:1/v1",
        "avatar": "http://[secret]@tavus:2",
    }
    assert facts["settings"]["say.room"] == "hall"
    assert facts["settings"]["livekit.e2ee_key"] == "********"
    assert "say.ttl" not in facts["settings"]
    show_report(facts | {"conversations": ["name c1"], "timings_ms": {"heard": 700}})
    shown = capsys.readouterr().out
    assert "  conversations: name c1\n" in shown
    assert "  timings_ms: heard 700\n" in shown
    assert secrets_in(shown + json.dumps(facts)) == []


def test_nothing_is_paid_for_offline_or_where_the_server_cannot_be_reached(shell: Shell) -> None:
    for arguments in (("--offline",), ("--url", "ws://127.0.0.1:1")):
        ended = shell.run("doctor", "--paid", "--json", *arguments, env={"LIBA_VOICE_PROVIDERS": "embedded"})
        ways = [one["verdict"] for one in ended.json["checks"] if one["name"] == "whole way"]
        assert ways in ([], ["skip"])
        assert "report" not in ended.json
