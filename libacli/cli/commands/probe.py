"""liba probe"""

from typing import Annotated

import typer

from libacli.cli.options import (
    ApiKey,
    ApiSecret,
    AsJson,
    ConfigFile,
    Project,
    Room,
    Url,
    livekit_settings,
    seconds,
)
from libacli.errors import UsageError

Count = Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many utterances")]
Duration = Annotated[
    str | None, typer.Option("--for", help="Speak for so long, instead of -n times: 30s, 5m")
]
Text = Annotated[str | None, typer.Option("--text", help="What to say [default: short sentences]")]
Conditions = Annotated[
    list[str] | None,
    typer.Option("--assert", metavar="CONDITION", help="Exit 10 unless it holds; may be repeated"),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0.1, help="Seconds for the agent, and for each utterance [default: fits]"),
]
RequireAvatar = Annotated[
    bool, typer.Option("--require-avatar", help="Exit 9 unless the avatar spoke all of them")
]


def probe(
    room: Room = None,
    count: Count = 20,
    duration: Duration = None,
    text: Text = None,
    conditions: Conditions = None,
    timeout: Timeout = None,
    require_avatar: RequireAvatar = False,
    as_json: AsJson = False,
    project: Project = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    config: ConfigFile = None,
) -> None:
    """Measure from outside what a viewer of a room hears and sees.

    Joins as a viewer, has the agent speak, once to warm up and then -n times, and measures here, not in the
    agent, in milliseconds:

    \b
    heard    from sending the request to the first sound
    claim    what the agent says of that: waited + d01 + d12 + d2a
    seen     from sending the request to the first movement of the mouth
    cut      what is missing of the speech; more than 100 is CUT OFF, and the
             exit code 1. What a busy computer left out to catch up is not counted
    stretch  how much longer the speech took: it stalled on its way
    gap      the longest silence inside; pauses of the voice are among them
    lag      how much later the picture is than its sound; less than 0: earlier
    hole     the longest silence that is no pause of the voice, of texts that are
             said more than once: with --for, or --text

    With --for the same lines come again and again, and it tells whether picture and sound drift apart, and
    how many holes are longer than 120 ms. Ctrl-C tells what was measured so far.

    Conditions are MEASURE.STATISTIC<NUMBER, with p50, p90, p95, p99, min, max, mean or count.

    Everybody in the room hears it. It is a viewer like any other: a Tavus avatar comes for it, and is billed
    while it runs.

    \b
    liba probe --room demo
    liba probe --for 5m --assert 'hole.max<=120' --assert 'lag.max<=60'
    liba probe --room demo -n 50 --assert 'heard.p95<900' --json
    """
    from libacli.cli.runs.thresholds import read_thresholds
    from libacli.core.probe_result import MEASURES

    for_s = None if duration is None else seconds(duration)
    if for_s == 0:
        raise UsageError("--for must be 1s at least", hint="for example: --for 5m")
    thresholds = read_thresholds(conditions or (), MEASURES)
    settings = livekit_settings(config, url, api_key, api_secret, project)
    settings.livekit()  # what is missing is told before the rest is loaded

    from libacli.cli.runs.probe import ProbeRun

    ProbeRun(
        settings,
        room=settings.say_room if room is None else room,
        text=text,
        count=count,
        thresholds=thresholds,
        timeout_s=timeout,
        require_avatar=require_avatar,
        as_json=as_json,
        for_s=for_s,
    ).run()
