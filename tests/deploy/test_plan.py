from __future__ import annotations

from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from libacli.deploy import k8s
from libacli.deploy.compose import compose_file
from libacli.deploy.plan import Part, Plan, checked, parts_of
from libacli.deploy.systemd import units
from libacli.errors import UsageError

KINDS = ("namespace", "agent name", "image", "URL", "program", "subdomain", "agent id")
DANGEROUS = set("\"'\n\r\t {}$#&*!|>%`\\;,")
"""What YAML, a unit, a Dockerfile or a shell could take for something of its own."""


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("namespace", "digital-humans"),
        ("agent name", "liba.Test_1"),
        ("image", "liba"),
        ("image", "liba:1.0"),
        ("image", "localhost:5000/liba"),
        ("image", "registry.example.org/team/liba:1.0@sha256:" + "0" * 64),
        ("URL", "ws://livekit:7880"),
        ("URL", "wss://my-project.livekit.cloud"),
        ("URL", "wss://[fd00::1]:443/lk"),
        ("program", "/opt/liba/bin/liba"),
        ("agent id", "CA_AbC123"),
    ],
)
def test_what_people_call_things_is_taken(kind: str, value: str) -> None:
    assert checked(kind, value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("namespace", ""),
        ("namespace", "Upper"),
        ("namespace", "a" * 64),
        ("namespace", "liba\n"),
        ("agent name", 'liba"'),
        ("agent name", "liba\nx"),
        ("agent name", "lïba"),
        ("image", "liba:"),
        ("image", "liba --privileged"),
        ("image", 'liba"\n    privileged: true'),
        ("image", "liba@sha256:0"),
        ("URL", "https://example.org"),
        ("URL", "wss://example.org:70000"),
        ("URL", "wss://user:password@example.org"),
        ("URL", 'ws://x"'),
        ("program", "liba"),
        ("program", "/opt/%h/liba"),
        ("program", "/opt/liba\nExecStartPre=/bin/true"),
    ],
)
def test_what_a_file_could_take_for_something_else_is_refused(kind: str, value: str) -> None:
    with pytest.raises(UsageError):
        checked(kind, value)


@given(kind=st.sampled_from(KINDS), value=st.text(min_size=1, max_size=40))
def test_nothing_that_is_taken_holds_a_dangerous_character(kind: str, value: str) -> None:
    with suppress(UsageError):
        assert not DANGEROUS & set(checked(kind, value))


@given(name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True))
def test_an_agent_s_name_comes_out_of_each_file_as_it_went_in(name: str) -> None:
    """Also one that YAML takes for a number, a date or a truth value."""
    plan = Plan("0.1.0", agent_name=name)
    service = yaml.safe_load(compose_file(plan))["services"]["agent"]
    assert service["environment"]["LIBA_AGENT_NAME"] == name
    pod = next(yaml.safe_load_all(k8s.manifests(plan)))["spec"]["template"]["spec"]
    assert {"name": "LIBA_AGENT_NAME", "value": name} in pod["containers"][0]["env"]
    assert f'Environment="LIBA_AGENT_NAME={name}" ' in units(plan)["liba-agent.service"]


def test_parts_are_words_with_commas_and_none_is_the_worker_alone() -> None:
    assert parts_of("serve, redis", k8s.PARTS) == {Part.SERVE, Part.REDIS}
    assert parts_of("", k8s.PARTS) == frozenset()


def test_a_part_that_a_target_has_not_is_refused_and_those_that_it_has_are_named() -> None:
    with pytest.raises(UsageError, match="'livekit' is no part here") as refused:
        parts_of("serve,livekit", k8s.PARTS)
    assert refused.value.hint == "there are network-policy, openai, redis, serve, tavus"
