"""A show as JSON lines: an object for each cue."""

from __future__ import annotations

from libacli.core.cue import Cue, CueReader
from libacli.core.messages import parse_object
from libacli.errors import RefusedError


def read_jsonl(source: str, reader: CueReader) -> list[Cue]:
    """The cues; problems go to `reader`. Lines that are empty are passed over."""
    cues = []
    for number, line in enumerate(source.split("\n"), 1):
        if not line.strip():
            continue
        try:
            members = parse_object(line)
        except RefusedError as error:
            reader.note(number, str(error))
        else:
            if cue := reader.read(members, number, {}):
                cues.append(cue)
    return cues
