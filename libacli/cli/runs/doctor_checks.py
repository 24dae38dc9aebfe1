"""Makes the doctor's checks, each within its bound, and keeps what they found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from libacli.cli.output import output
from libacli.edges.checks.finding import Finding, Verdict, failure
from libacli.errors import ConfigError, LibaError, UnreachableError

_BOUND_S = 10.0
"""Of each check: longer than any wait of its own, and nobody waits longer for one that hangs."""

T = TypeVar("T")


class DoctorChecks:
    """Checks that are made, and findings so far; `show` gets each as it comes."""

    def __init__(self, show: Callable[[Finding], None]) -> None:
        self.findings: list[Finding] = []
        self._show = show

    def add(self, finding: Finding) -> None:
        """Something was found without a check of its own."""
        self.findings.append(finding)
        self._show(finding)

    def skip(self, names: tuple[str, ...], reason: str) -> None:
        """These are not made; shown as one line."""
        self.findings += [Finding(name, "skip", f"not checked: {reason}") for name in names]
        self._show(Finding("the rest", "skip", f"{reason}, so not checked: {', '.join(names)}"))

    async def check(self, name: str, check: Awaitable[Finding], *, bound_s: float = _BOUND_S) -> bool:
        """Makes one check and adds what it found; whether nothing failed."""
        finding = await self.attempt(name, check, bound_s=bound_s)
        if finding:
            self.add(finding)
        return finding is not None and finding.verdict != "fail"

    async def check_in_thread(self, name: str, check: Callable[[], Finding]) -> None:
        """A check that needs no loop, and might block one."""
        await self.check(name, asyncio.to_thread(check))

    async def attempt(self, name: str, step: Awaitable[T], *, bound_s: float = _BOUND_S) -> T | None:
        """The result of a step within its bound, or None when it failed, which is added; the rest goes on."""
        try:
            async with asyncio.timeout(bound_s):
                return await step
        except TimeoutError:
            self.add(Finding(name, "fail", f"no answer within {bound_s:g} s", "try again; is it overloaded?"))
        except LibaError as error:
            self.add(failure(name, error))
        except Exception as error:  # what it says may hold anything: it is not told
            output.trace(error)
            fix = "liba --verbose doctor shows where; please report it"
            self.add(Finding(name, "fail", f"internal: the check broke ({type(error).__name__})", fix))
        return None

    @property
    def worst(self) -> Verdict:
        """The worst verdict there is; `ok` when nothing failed and nothing is to be warned of."""
        found = [finding.verdict for finding in self.findings]
        verdicts: tuple[Verdict, ...] = ("fail", "warn")
        return next((verdict for verdict in verdicts if verdict in found), "ok")

    def exit_code(self, *, is_strict: bool) -> int:
        """What the command ends with; warnings are failures too when `is_strict`."""
        codes = {finding.exit_code for finding in self.findings if finding.verdict == "fail"}
        for code in (ConfigError.exit_code, UnreachableError.exit_code):
            if code in codes:
                return code
        return int(bool(codes) or (is_strict and self.worst == "warn"))
