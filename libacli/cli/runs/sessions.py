"""Runs `liba sessions`: asks a `liba serve` that runs whom it has let in, and has it end some of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2

from libacli.cli.output import output
from libacli.config import Settings, is_loopback
from libacli.edges.by_proxy import blocking_transport_to
from libacli.errors import CredentialsError, LibaError, UnreachableError, UsageError

_TIMEOUT_S = 15.0
"""Longer than the server asks LiveKit to put somebody out."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


@dataclass(frozen=True)
class SessionsRun:
    """One run of `liba sessions`."""

    settings: Settings
    address: str | None
    """Of the server; None: the one of the settings."""

    end: Sequence[str]
    """Names of the sessions to end; none: all are shown."""

    as_json: bool

    def run(self) -> None:
        """Raises UnreachableError, CredentialsError, UsageError for an address or a name that is none."""
        address = self.address or serve_address(self.settings)
        key = self.settings.serve_owner_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        if key and address.startswith("http:") and not is_loopback(address):
            output.status("warning  the key travels in the clear: use the https:// address")
        try:
            with self._client(address, headers) as client:
                self._end(client) if self.end else self._show(client)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise UsageError(f"{address!r} is not an address", hint="like http://127.0.0.1:8080") from error
        except httpx2.TransportError as error:
            raise UnreachableError(
                f"no `liba serve` answers at {address}", hint="is it running? Else say where: --address"
            ) from error

    def _client(self, address: str, headers: Mapping[str, str]) -> httpx2.Client:
        transport = blocking_transport_to(address)
        return httpx2.Client(base_url=address, headers=headers, timeout=_TIMEOUT_S, transport=transport)

    def _show(self, client: httpx2.Client) -> None:
        told = _answer(client.get("/api/sessions"))
        if self.as_json:
            output.json(told)
            return
        for session in told["sessions"]:
            output.result(_line(session))
        if not told["sessions"]:
            output.status("nobody was let in by a link")

    def _end(self, client: httpx2.Client) -> None:
        identities: list[str] = []
        for name in self.end:
            answer = _answer(client.delete(f"/api/sessions/{quote(name, safe='')}"))
            identities += answer["identities"]
        if self.as_json:
            output.json({"ended": identities})
            return
        for identity in identities:
            output.result(f"ended  {identity}")


def serve_address(settings: Settings) -> str:
    """Where `liba serve` is reached that runs with these settings."""
    if settings.serve_public_url:
        return settings.serve_public_url.rstrip("/")
    host = settings.serve_host
    host = _EVERYWHERE.get(host) or (f"[{host}]" if ":" in host else host)
    return f"{'https' if settings.serve_tls_cert else 'http'}://{host}:{settings.serve_port}"


def _answer(response: httpx2.Response) -> dict[str, Any]:
    """What the server told. Raises CredentialsError, LibaError with the server's words."""
    try:
        told = response.json()
    except ValueError:
        told = None
    if response.status_code == 401:
        raise CredentialsError(
            "the server does not know this key, or wants one", hint="set LIBA_SERVE_OWNER_KEY"
        )
    if not isinstance(told, dict) or not isinstance(told.get("sessions", told.get("identities")), list):
        problem = told if isinstance(told, dict) else {}
        message = f"it answers as no `liba serve` does: status {response.status_code}"
        hint = str(problem.get("hint") or "`liba sessions` shows the names")
        raise LibaError(str(problem.get("detail") or message), hint=hint)
    return told


def _line(session: dict[str, Any]) -> str:
    rights = [
        word for word, right in (("speaks", "can_say"), ("controls", "can_control")) if session.get(right)
    ]
    may = " and ".join(rights) or "watches"
    guest = ", a guest" if session.get("is_guest") else ""
    minutes = round(float(session.get("expires_in_s") or 0) / 60)
    return (
        f"{session.get('name')}{guest}  room {session.get('room')}  {may}  {session.get('identity')}  "
        f"{session.get('live_tokens')} live tokens  ends in {minutes} min"
    )
