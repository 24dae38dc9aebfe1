"""The line at which `liba demo` is typed to; what is printed meanwhile stands above it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from prompt_toolkit import PromptSession
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.patch_stdout import patch_stdout


class DemoPrompt:
    """Asks for texts; `doing` says in a word what goes on, and is shown below the line."""

    def __init__(self, doing: Callable[[], str]) -> None:
        self._session: PromptSession[str] = PromptSession(
            "> ", key_bindings=_bindings(), bottom_toolbar=lambda: f" {doing()}", refresh_interval=0.5
        )

    @contextmanager
    def above(self) -> Iterator[None]:
        """What is printed within stands above the line."""
        with patch_stdout(raw=True):
            yield

    async def texts(self) -> AsyncIterator[list[str]]:
        """The lines that come at a time: one that is typed, all that are pasted. Until Ctrl-D.

        An empty list is Ctrl-C.
        """
        while True:
            try:
                typed = await self._session.prompt_async()
            except EOFError:
                return
            except KeyboardInterrupt:
                yield []
                continue
            if lines := [line.strip() for line in typed.splitlines() if line.strip()]:
                yield lines


def _bindings() -> KeyBindings:
    """A paste that ends with a line's end is complete, and needs no Enter."""
    bindings = KeyBindings()

    @bindings.add(Keys.BracketedPaste)
    def paste(event: KeyPressEvent) -> None:
        pasted = event.data.replace("\r\n", "\n").replace("\r", "\n")
        event.current_buffer.insert_text(pasted.rstrip("\n"))
        if pasted.endswith("\n"):
            event.current_buffer.validate_and_handle()

    return bindings
