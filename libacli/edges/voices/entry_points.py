"""Voices that other packages bring: entry points of the group `libacli.voices`.

    [project.entry-points."libacli.voices"]
    acme = "acme_liba:acme_voice"

`acme_voice` takes the `Settings` and gives a `Voice` (`libacli.speech.ports`); it needs no event loop, loads
nothing heavy yet, and raises CredentialsError or ConfigError where the voice cannot be had.
https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from libacli.config import Settings
from libacli.errors import ConfigError, LibaError
from libacli.speech.ports import Voice

GROUP = "libacli.voices"

_ATTRIBUTES = ("provider", "model", "name")
_METHODS = ("objection", "synthesize", "warm_up", "aclose")


def entry_point_names() -> tuple[str, ...]:
    """Words for `voice.providers` that installed packages bring."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def entry_point_voice(settings: Settings, name: str) -> Voice:
    """The voice that a package brings as `name`. Raises ConfigError when none does, or it is no voice."""
    point = _the_one(name)
    package = point.dist.name if point.dist else point.value
    try:
        voice: Voice = point.load()(settings)
    except LibaError:
        raise
    except Exception as error:  # of somebody else's code
        raise ConfigError(
            f"the voice {name!r} of the package {package} cannot be loaded ({type(error).__name__})",
            hint=f"upgrade {package}, or name another voice in voice.providers",
        ) from error
    missing = [attribute for attribute in _ATTRIBUTES if not isinstance(getattr(voice, attribute, None), str)]
    missing += [method for method in _METHODS if not callable(getattr(voice, method, None))]
    if missing:
        raise ConfigError(
            f"what the package {package} brings as {name!r} is no voice: it has no {', '.join(missing)}",
            hint="see libacli.speech.ports.Voice",
        )
    return voice


def _the_one(name: str) -> EntryPoint:
    points = {point.value: point for point in entry_points(group=GROUP, name=name)}
    if not points:
        known = ", ".join(entry_point_names())
        raise ConfigError(
            f"no installed package brings a voice {name!r}" + (f", only {known}" if known else ""),
            hint="check the setting voice.providers, or install the package that brings it",
        )
    if len(points) > 1:
        packages = " and ".join(sorted(point.dist.name for point in points.values() if point.dist))
        raise ConfigError(f"the voice {name!r} is brought by {packages}", hint="uninstall one of them")
    return next(iter(points.values()))
