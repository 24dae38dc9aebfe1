"""A page that is made of LiveKit's own React hooks alone, as its starters and its Playground are."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page

from libacli.config import LiveKitCredentials
from libacli.web.npm import LIVEKIT_CLIENT
from tests.npm_bundle import bundle

PACKAGES = {
    "@livekit/components-core": "0.12.15",
    "@livekit/components-react": "2.9.24",
    LIVEKIT_CLIENT.package: LIVEKIT_CLIENT.version,
    "react": "19.3.1",
    "react-dom": "19.3.1",
}

SOURCE = """
import * as React from "react";
import { createRoot } from "react-dom/client";
import { TokenSource } from "livekit-client";
import {
  RoomAudioRenderer, SessionProvider, useAgent, useChat, useSession, useTranscriptions, useVoiceAssistant,
} from "@livekit/components-react";

window.seen = {states: [], agentStates: []};

function shown(track) {
  return track ? track.participant.identity : null;
}

function Seen() {
  const assistant = useVoiceAssistant();
  const agent = useAgent();
  const texts = useTranscriptions();
  const chat = useChat();
  React.useEffect(() => { seen.states.push(assistant.state); }, [assistant.state]);
  React.useEffect(() => { seen.agentStates.push(agent.state); }, [agent.state]);
  Object.assign(seen, {
    assistant: {audio: shown(assistant.audioTrack), video: shown(assistant.videoTrack)},
    agent: {audio: shown(agent.microphoneTrack), video: shown(agent.cameraTrack)},
    texts: texts.map((one) => ({text: one.text, ...one.streamInfo.attributes})),
    chat: chat.chatMessages.map((one) => ({from: one.from?.identity, message: one.message})),
  });
  window.chat = chat.send;
  return null;
}

function App({serverUrl, participantToken}) {
  const source = React.useMemo(() => TokenSource.literal({serverUrl, participantToken}), []);
  const session = useSession(source);
  React.useEffect(() => {
    session.start({tracks: {microphone: {enabled: false}}}).catch((error) => { seen.error = String(error); });
  }, []);
  return <SessionProvider session={session}><RoomAudioRenderer/><Seen/></SessionProvider>;
}

window.enter = (serverUrl, participantToken) => createRoot(document.getElementById("root")).render(
  <App serverUrl={serverUrl} participantToken={participantToken}/>);
"""


@functools.cache
def _script() -> str:
    return bundle(SOURCE, PACKAGES)


class Hooks:
    """What the hooks of a page show."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def seen(self) -> dict[str, Any]:
        found: dict[str, Any] = await self._page.evaluate("seen")
        return found

    async def until(
        self, wanted: Callable[[dict[str, Any]], bool], *, timeout_s: float = 60.0
    ) -> dict[str, Any]:
        """Waits until what they show is as wanted."""
        seen: dict[str, Any] = {}
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    if wanted(seen := await self.seen()):
                        return seen
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"the hooks show {seen}") from None

    def chat(self, text: str) -> Awaitable[Any]:
        """Types `text` where LiveKit's pages chat."""
        return self._page.evaluate("text => window.chat(text).then(() => null)", text)


@asynccontextmanager
async def entering(page: Page, credentials: LiveKitCredentials, token: str) -> AsyncIterator[Hooks]:
    """Has `page` enter the room that `token` is for; it is served from this machine, as the room is."""
    script = await asyncio.to_thread(_script)

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/hooks.js":
            return web.Response(text=script, content_type="text/javascript")
        body = "<!doctype html><meta charset=utf-8><div id=root></div><script src=/hooks.js></script>"
        return web.Response(text=body, content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        await page.goto(str(server.make_url("/")))
        await page.evaluate("([url, token]) => enter(url, token)", [credentials.ws_url, token])
        yield Hooks(page)
