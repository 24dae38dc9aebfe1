"""What routes declare that they need: who calls, and what all of them share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from libacli.web.auth import Caller
from libacli.web.rate_limits import client_address
from libacli.web.services import ServicesDependency

__all__ = ["CallerDependency", "ServicesDependency", "authenticated_caller"]

_bearer = HTTPBearer(auto_error=False, description="A key of `liba serve --new-key`, or a session")


async def authenticated_caller(
    request: Request,
    services: ServicesDependency,
    documented: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """The caller of a request. Raises Problem."""
    authorization = request.headers.get("authorization")
    return await services.authenticator.authenticate(authorization, client_address(request))


CallerDependency = Annotated[Caller, Depends(authenticated_caller)]
