"""JWTs under the API secret (HS256): made, and judged. What stands in them is their makers' own."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from libacli.config import LiveKitCredentials
from libacli.core.jws import signed
from libacli.core.protocol import MAX_NAME_CHARS
from libacli.core.reasons import REFUSALS
from libacli.errors import RefusedError

CLOCK_SKEW_S = 30
# How long the secret is was the server's choice: `livekit-server --dev` has the secret "secret".
warnings.filterwarnings("ignore", message="The HMAC key is")


def encode(credentials: LiveKitCredentials, claims: dict[str, Any], valid_for_s: int) -> str:
    """A JWT with these claims, by this key, valid from now on for so long."""
    now = int(wall_clock())
    claims = {"iss": credentials.api_key, "nbf": now, "exp": now + valid_for_s} | claims
    return signed(claims, credentials.api_secret.get_secret_value())


def verified(
    accepted: Iterable[LiveKitCredentials],
    token: str,
    *,
    audience: str,
    required: Sequence[str],
    called: str = "signature",
) -> dict[str, Any]:
    """The claims of `token`, if one of these has made it for `audience` and it holds now.

    Besides those every JWT of ours has, the claims `required` must be there. Clocks may differ by half a
    minute. Raises RefusedError, `unauthorized`, in which the token is `called` that, and nothing else.
    """
    import jwt  # who only signs begins without it

    for credentials in accepted:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                credentials.api_secret.get_secret_value(),
                algorithms=["HS256"],
                audience=audience,
                issuer=credentials.api_key,
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "nbf", "iss", "aud", *required]},
            )
            float(claims["exp"]), float(claims["nbf"])
        except (jwt.InvalidSignatureError, jwt.InvalidIssuerError):
            continue  # the other key's, perhaps
        except jwt.ExpiredSignatureError as error:
            raise unauthorized(f"the {called} has expired") from error
        except jwt.ImmatureSignatureError as error:
            raise unauthorized(f"the {called} is from the future: who made it has a clock ahead") from error
        # Not even Unicode, or 1e999, or brackets without end.
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise unauthorized(f"the {called} is not valid") from error
        return claims
    raise unauthorized(f"the {called} is by a key that is not accepted here")


def named(claims: Mapping[str, Any], claim: str) -> str:
    """The name that a claim holds, if there is one. Raises RefusedError for what is no name."""
    name = claims.get(claim, "")
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise unauthorized(f"`{claim}` is no name")
    return name


def unauthorized(message: str, *, hint: str = REFUSALS["unauthorized"].hint) -> RefusedError:
    return RefusedError("unauthorized", message, hint=hint)


def wall_clock() -> float:
    """POSIX seconds: the life of what is signed is wall time, because another machine judges it."""
    return time.time()  # noqa: TID251 - see above
