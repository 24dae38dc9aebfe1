"""How somebody gets a session."""

from __future__ import annotations

from libacli.core.entry import Session
from libacli.web.sessions import Sessions


async def enter(sessions: Sessions, room: str = "demo", *, can_say: bool = False) -> tuple[str, Session]:
    """By a link of somebody with a key."""
    redeemed = await sessions.redeem_code((await sessions.new_code(room, can_say=can_say)).secret)
    assert redeemed
    return redeemed


async def new_guest(sessions: Sessions, host: Session) -> tuple[str, Session]:
    """By a link of `host`."""
    redeemed = await sessions.redeem_code((await sessions.new_code("demo", can_say=False, host=host)).secret)
    assert redeemed
    return redeemed
