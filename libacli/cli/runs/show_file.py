"""A show in a file: read, and looked through for all that could be known to fail, before anything is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from libacli.cli.runs.text_file import text_of
from libacli.core.cue import Cue, Problem
from libacli.core.show import Show, read_show
from libacli.errors import LibaError, RefusedError, UsageError


def show_of(file: Path, *, max_text_chars: int) -> Show:
    """What stands in it. Raises UsageError where it cannot be read, or is no kind of show."""
    show = read_show(file.name, text_of(file), max_text_chars=max_text_chars)
    objections = [
        Problem(cue.line, objection)
        for cue in show.cues
        if cue.audio and (objection := objection_to_sound(cue, file.parent))
    ]
    return replace(show, problems=tuple(sorted((*show.problems, *objections), key=lambda one: one.line)))


def objection_to_sound(cue: Cue, folder: Path) -> str:
    """Why the file that `cue.audio` names, seen from the show's `folder`, cannot be played; empty: it can."""
    try:
        is_there = (folder / cue.audio).is_file()
    except OSError:
        is_there = False
    if not is_there:
        return f"there is no file {cue.audio}"
    return "given sound is not known to this version: leave audio out, or have it said as text"


def told_problems(file: Path, problems: tuple[Problem, ...]) -> LibaError:
    """What ends a command that has told them."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    if all(problem.is_of_text for problem in problems):
        return RefusedError("malformed", f"{file}: {count}: texts that cannot be said", hint="see above")
    return UsageError(f"{file}: {count}", hint="see above; nothing was said")
