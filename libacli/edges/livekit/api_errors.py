"""What it means when LiveKit's server API does not answer, or answers with a failure: an error of ours."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from libacli.core.reasons import refusal
from libacli.errors import CredentialsError, LibaError, NoAgentError, RefusedError, UnreachableError
from libacli.network_environment import proxy_hint, proxy_variable

_RPC_ERROR = re.compile(r"RpcError (\d+)")
"""The code is nowhere but in the message of a Twirp error."""

_OUT_OF_TIME = re.compile(r"\b(exp|expired|nbf|not valid yet)\b")


@contextmanager
def translated(url: str) -> Iterator[None]:
    """What httpx2 raises on the way to `url`, as UnreachableError."""
    try:
        yield
    except httpx2.InvalidURL as error:
        raise UnreachableError(f"{url} is not an address", hint="check LIVEKIT_URL") from error
    except httpx2.TimeoutException as error:
        raise UnreachableError(
            f"LiveKit at {url} did not answer in time", hint="check LIVEKIT_URL and the network"
        ) from error
    except httpx2.TransportError as error:
        if variable := proxy_variable(url):
            raise UnreachableError(
                f"cannot reach LiveKit at {url} through the proxy of {variable}",
                hint=proxy_hint(url),
            ) from error
        raise UnreachableError(
            f"cannot reach LiveKit at {url}", hint="check LIVEKIT_URL, or start one: liba server run"
        ) from error


def is_resolver_away(error: BaseException | None) -> bool:
    """Whether names cannot be resolved yet, which passes."""
    while error and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    return isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN


def is_over_quota(response: httpx2.Response) -> bool:
    """Whether LiveKit Cloud has taken too many calls of this project."""
    # Twirp before 7 had 403 for it: https://twitchtv.github.io/twirp/docs/spec_v7.html#error-codes
    return response.status_code == 429 or (
        response.status_code == 403 and (json_object(response.text) or {}).get("code") == "resource_exhausted"
    )


def error_of(response: httpx2.Response, method: str) -> LibaError:
    """What an answer other than 200 means. The server's words may hold a token: they are not passed on."""
    status, failure = response.status_code, json_object(response.text) or {}
    code, message = str(failure.get("code", "no reason given")), str(failure.get("msg", ""))
    if status in (401, 403):
        return _credentials_error(response.text)
    if rpc_error := _RPC_ERROR.search(message):
        return _rpc_error(int(rpc_error[1]), method)
    # 503: no node of the server holds the participant; 500: it has no way to it, as while it rejoins;
    # 408 and 504: it took longer than the server waits.
    if method == "PerformRpc" and status in (408, 500, 503, 504):
        return NoAgentError("the agent is not there any more", hint="is `liba agent run` still running?")
    if status == 501 or (status == 404 and code == "bad_route"):
        return refusal("unsupported_server", f"this LiveKit server has no {method}")
    if status == 404:
        return NoAgentError("there is no such room or participant", hint="start an agent: liba agent run")
    if status >= 500:
        return UnreachableError(
            f"LiveKit answered {method} with status {status}", hint="try again in a moment"
        )
    return LibaError(f"LiveKit answered {method} with status {status} ({code})")


def _credentials_error(text: str) -> CredentialsError:
    """What a refusal of the token means. The server has no code for it, words alone."""
    # Before its words the server may repeat the token, in which any word can be.
    words = text.rpartition("error:")[2]
    if words.startswith("invalid API key"):
        return CredentialsError("LiveKit does not know this API key", hint="check LIVEKIT_API_KEY")
    if "signature" in words:
        return CredentialsError(
            "LiveKit refused the API secret: it does not belong to this key",
            hint="check LIVEKIT_API_SECRET",
        )
    if _OUT_OF_TIME.search(words):
        return CredentialsError("LiveKit finds the token expired or too new", hint="set this machine's clock")
    return CredentialsError("LiveKit refused the credentials", hint="check LIVEKIT_API_KEY and its secret")


def _rpc_error(code: int, method: str) -> LibaError:
    # Codes: https://docs.livekit.io/transport/data/rpc/#errors
    if code == 1402:
        return RefusedError("too_large", "the request is too large for one call")
    if code in (1403, 1404):
        return refusal("unsupported_server", f"this LiveKit server has no {method}")
    if code == 1400:
        return RefusedError("unsupported_method", "the participant does not take such requests")
    return NoAgentError(
        f"the agent did not answer (RPC error {code})", hint="is `liba agent run` still running?"
    )


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object in `text`, None when it is something else: a web site's page, for instance."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
