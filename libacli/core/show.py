"""A show: cues in order, and what must hold between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from libacli.core.cue import Cue, CueReader, Problem, nearest
from libacli.core.show_jsonl import read_jsonl
from libacli.core.show_markdown import read_markdown
from libacli.core.show_toml import read_toml
from libacli.errors import UsageError

READERS = {".toml": read_toml, ".jsonl": read_jsonl, ".ndjson": read_jsonl, ".md": read_markdown}
"""By the ending of the file's name."""


@dataclass(frozen=True)
class Show:
    """What a file holds."""

    cues: tuple[Cue, ...]
    problems: tuple[Problem, ...] = ()
    """In the order of the file; cues that have one may be missing in `cues`."""

    def place(self, wanted: str) -> int:
        """Index of the cue with that label, or number from 1; empty: the first. Raises UsageError."""
        if not wanted:
            return 0
        if wanted.isdecimal():
            if 1 <= int(wanted) <= len(self.cues):
                return int(wanted) - 1
            raise UsageError(f"there is no cue {wanted}", hint=f"the show has {len(self.cues)}")
        exact: dict[str, int] = {}
        folded: dict[str, int] = {}
        for index, cue in enumerate(self.cues):
            for label in (*cue.labels_above, cue.label):
                exact.setdefault(label, index)
                folded.setdefault(label.casefold(), index)
        if (index := exact.get(wanted, folded.get(wanted.casefold(), -1))) >= 0:
            return index
        hint = nearest(wanted, filter(None, exact)).removeprefix(": ") or "liba play --check lists the labels"
        raise UsageError(f"there is no label {wanted!r}", hint=hint)


def read_show(name: str, source: str, *, max_text_chars: int) -> Show:
    """What stands in a file of that name. Raises UsageError where its ending is none of `READERS`."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in READERS:
        raise UsageError(
            f"a show is a .toml, .jsonl or .md file, not {suffix or 'one without an ending'}",
            hint="liba play show.toml",
        )
    reader = CueReader(max_text_chars, [])
    cues = READERS[suffix](source.removeprefix("\ufeff"), reader)
    if not cues and not reader.problems:
        reader.note(1, "there is no cue in it")
    _check_labels(cues, reader)
    return Show(tuple(cues), tuple(sorted(reader.problems, key=lambda problem: problem.line)))


def _check_labels(cues: list[Cue], reader: CueReader) -> None:
    first: dict[str, int] = {}
    for cue in cues:
        if cue.label and first.setdefault(cue.label, cue.line) != cue.line:
            reader.note(cue.line, f"label {cue.label!r} stands twice, at line {first[cue.label]} before")
