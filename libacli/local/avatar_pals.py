"""The pals and faces of an account: who a conversation is with, and by which transport.

https://docs.tavus.io/api-reference/pals and /faces. `/v2/personas` and `/v2/replicas` are the older spelling
of the same, with the older names of fields.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web

from libacli.local.avatar_manners import Manners
from libacli.local.avatar_requests import PalRequest, WrongRequestError, page_of

ECHO = "echo"
LIVEKIT: Mapping[str, Any] = {"transport": {"transport_type": "livekit"}}
"""Layers of a pal that joins LiveKit rooms: https://docs.tavus.io/sections/integrations/livekit"""


@dataclass(frozen=True)
class Pal:
    """A pal, once called persona."""

    id: str
    name: str = ""
    face_id: str = ""
    pipeline_mode: str = "full"
    layers: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str = ""
    created_at: str = ""
    is_stock: bool = False

    @property
    def joins_livekit(self) -> bool:
        """Whether it takes an agent's sound in a LiveKit room. Of any other nobody ever joins one."""
        transport = self.layers.get("transport", {}).get("transport_type")
        return self.pipeline_mode == ECHO and transport == "livekit"


STOCK_FACE = "r4067604db72"
STOCK_PAL = Pal("pb87e71797da", "LiveKit", STOCK_FACE, ECHO, LIVEKIT, is_stock=True)
"""What livekit-agents' plugin asks for when nothing is said; `plugins/tavus/api.py`."""

_DEFAULT_PAL = Pal("p-default", "Default", is_stock=True)
"""With whom a conversation is for which only a face was named."""


@dataclass(frozen=True)
class _Spelling:
    """What a pal and a face are called in paths and fields."""

    pal: str
    face: str

    def told(self, pal: Pal) -> dict[str, Any]:
        return {
            f"{self.pal}_id": pal.id,
            f"{self.pal}_name": pal.name,
            f"default_{self.face}_id": pal.face_id,
            "pipeline_mode": pal.pipeline_mode,
            "system_prompt": pal.system_prompt,
            "layers": dict(pal.layers),
            "created_at": pal.created_at,
            "updated_at": pal.created_at,
        }

    def told_face(self, face_id: str) -> dict[str, Any]:
        return {
            f"{self.face}_id": face_id,
            f"{self.face}_name": "Local" if face_id != STOCK_FACE else "Stock",
            f"{self.face}_type": "system",
            "training_progress": "100/100",
            "status": "completed",
        }


_SPELLINGS = (_Spelling("pal", "face"), _Spelling("persona", "replica"))


class Pals:
    """The pals of a service, and what it answers when it is asked for them."""

    def __init__(self, manners: Manners) -> None:
        self.known = {STOCK_PAL.id: STOCK_PAL}
        """By id."""

        self._manners = manners

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for spelling in _SPELLINGS:
            pals, faces = f"/v2/{spelling.pal}s", f"/v2/{spelling.face}s"
            router.add_post(pals, partial(self._create, spelling))
            router.add_get(pals, partial(self._list, spelling))
            router.add_get(pals + "/{id}", partial(self._get, spelling))
            router.add_delete(pals + "/{id}", partial(self._delete, spelling))
            router.add_get(faces, partial(self._list_faces, spelling))
            router.add_get(faces + "/{id}", partial(self._get_face, spelling))

    def of_conversation(self, pal_id: str) -> Pal:
        """Whom a conversation is with for which this pal was named, or none. Raises WrongRequestError."""
        if not pal_id and not self._manners.takes_any_pal:
            return _DEFAULT_PAL
        return self._found(pal_id, _SPELLINGS[0])

    async def _create(self, spelling: _Spelling, request: web.Request) -> web.Response:
        asked = PalRequest(await request.read())
        if not asked.face_id and spelling.pal == "pal":
            raise WrongRequestError("default_face_id is required")
        pal = Pal(
            id=f"p{uuid.uuid4().hex[:11]}",
            name=asked.name,
            face_id=asked.face_id,
            pipeline_mode=asked.pipeline_mode,
            layers=asked.layers,
            system_prompt=asked.system_prompt,
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        self.known[pal.id] = pal
        told = spelling.told(pal)
        return web.json_response(
            {name: told[name] for name in (f"{spelling.pal}_id", f"{spelling.pal}_name", "created_at")}
        )

    async def _list(self, spelling: _Spelling, request: web.Request) -> web.Response:
        kind = request.query.get(f"{spelling.pal}_type", "")
        if kind not in ("", "user", "system"):
            raise WrongRequestError(f"{spelling.pal}_type must be user or system")
        found = [
            pal for pal in reversed(self.known.values()) if not kind or pal.is_stock == (kind == "system")
        ]
        shown = page_of(found, request.query, most=self._manners.page_limit)
        return web.json_response({"data": [spelling.told(pal) for pal in shown], "total_count": len(found)})

    async def _get(self, spelling: _Spelling, request: web.Request) -> web.Response:
        told = spelling.told(self._found(request.match_info["id"], spelling))
        return web.json_response({"data": [told]} if self._manners.wraps_pal else told)

    async def _delete(self, spelling: _Spelling, request: web.Request) -> web.Response:
        pal = self.known.get(request.match_info["id"])
        if not pal or pal.is_stock:
            raise WrongRequestError(f"Invalid {spelling.pal}_id")
        del self.known[pal.id]
        return web.Response(status=204)

    async def _list_faces(self, spelling: _Spelling, request: web.Request) -> web.Response:
        shown = page_of([STOCK_FACE], request.query)
        return web.json_response({"data": [spelling.told_face(one) for one in shown], "total_count": 1})

    async def _get_face(self, spelling: _Spelling, request: web.Request) -> web.Response:
        face_id = request.match_info["id"]
        if face_id != STOCK_FACE and not self._manners.takes_any_pal:
            raise WrongRequestError(f"Invalid {spelling.face}_id")
        return web.json_response(spelling.told_face(face_id))

    def _found(self, pal_id: str, spelling: _Spelling) -> Pal:
        if pal := self.known.get(pal_id):
            return pal
        if not self._manners.takes_any_pal:
            raise WrongRequestError(f"Invalid {spelling.pal}_id")
        return Pal(pal_id, "not made here", STOCK_FACE, ECHO, LIVEKIT)
