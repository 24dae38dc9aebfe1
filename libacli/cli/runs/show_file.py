"""A show in a file: read, and looked through for all that could be known to fail, before anything is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from libacli.cli.runs.show_sound import ShowSounds
from libacli.cli.runs.text_file import text_of
from libacli.core.cue import Problem
from libacli.core.show import Show, read_show
from libacli.errors import LibaError, RefusedError, UsageError


def show_of(file: Path, sounds: ShowSounds, *, max_text_chars: int) -> Show:
    """What stands in it, its sounds looked at. Raises UsageError where it is no kind of show."""
    show = read_show(file.name, text_of(file), max_text_chars=max_text_chars)
    cues, problems = [], list(show.problems)
    for cue in show.cues:
        try:
            cues.append(replace(cue, sound=sounds.of(cue).given) if cue.audio else cue)
        except (UsageError, RefusedError) as error:
            problems.append(Problem(cue.line, str(error)))
    return Show(tuple(cues), tuple(sorted(problems, key=lambda one: one.line)))


def told_problems(file: Path, problems: tuple[Problem, ...]) -> LibaError:
    """What ends a command that has told them."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    if all(problem.is_of_text for problem in problems):
        return RefusedError("malformed", f"{file}: {count}: texts that cannot be said", hint="see above")
    return UsageError(f"{file}: {count}", hint="see above; nothing was said")
