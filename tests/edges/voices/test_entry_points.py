from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from libacli.config import Settings
from libacli.edges.voices.entry_points import entry_point_names, entry_point_voice
from libacli.errors import ConfigError, CredentialsError
from tests.contracts import pcm_of

SOURCE = """
from libacli.errors import CredentialsError
from libacli.speech.fakes import ScriptedVoice

def acme_voice(settings):
    return ScriptedVoice(provider="acme")

def keyless_voice(settings):
    raise CredentialsError("ACME_KEY is not set")

def broken_voice(settings):
    raise ValueError("secret")

def no_voice(settings):
    return object()
"""
POINTS = """[libacli.voices]
acme = acme_liba:acme_voice
broken = acme_liba:broken_voice
keyless = acme_liba:keyless_voice
missing = acme_liba:nothing
none = acme_liba:no_voice
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package on the path, as pip leaves it."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(package: str = "acme-liba", points: str = POINTS) -> None:
        (tmp_path / "acme_liba.py").write_text(SOURCE, encoding="utf-8")
        info = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)

    return install


async def test_a_package_can_bring_a_voice(install: Install) -> None:
    install()
    voice = await asyncio.to_thread(entry_point_voice, Settings(), "acme")
    assert voice.provider == "acme"
    assert await pcm_of(voice, "Hello.")


def test_the_voices_of_packages_can_be_listed(install: Install) -> None:
    assert "acme" not in entry_point_names()
    install()
    assert {"acme", "broken"} <= set(entry_point_names())


def test_a_voice_that_nobody_brings_is_told_with_those_that_there_are(install: Install) -> None:
    install()
    with pytest.raises(ConfigError, match="no installed package brings a voice 'other', only acme, "):
        entry_point_voice(Settings(), "other")


def test_what_the_voice_itself_says_is_missing_comes_through(install: Install) -> None:
    install()
    with pytest.raises(CredentialsError, match="ACME_KEY"):
        entry_point_voice(Settings(), "keyless")


@pytest.mark.parametrize(("name", "error"), [("broken", "ValueError"), ("missing", "AttributeError")])
def test_what_breaks_is_told_with_its_package_and_not_its_words(
    install: Install, name: str, error: str
) -> None:
    install()
    with pytest.raises(
        ConfigError, match=rf"of the package acme-liba cannot be loaded \({error}\)"
    ) as caught:
        entry_point_voice(Settings(), name)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__


def test_what_is_no_voice_is_told_with_what_it_lacks(install: Install) -> None:
    install()
    with pytest.raises(ConfigError, match="is no voice: it has no provider, model, name, objection"):
        entry_point_voice(Settings(), "none")


def test_a_name_that_two_packages_bring_is_nobodys(install: Install) -> None:
    install()
    install("other-liba", "[libacli.voices]\nacme = acme_liba:no_voice\n")
    with pytest.raises(ConfigError, match="acme-liba and other-liba"):
        entry_point_voice(Settings(), "acme")
