"""The page in a real browser, on a real server, with the local avatar: what a viewer sees, hears and does."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import socket
import statistics
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
import pytest
from livekit.api import ListParticipantsRequest, LiveKitAPI, RoomParticipantIdentity
from playwright.async_api import Browser, expect

from libacli.config import LiveKitCredentials
from libacli.edges.livekit.tokens import Permissions, join_token
from libacli.web.npm import LIVEKIT_CLIENT, VENDOR, fetch
from tests.browser import Ear, axe, chromium, controls, sound_refused, tab_round
from tests.live.conftest import Shell, wait_for_line
from tests.live.visiting import AGENT, ROOM, Served, Visit, beside, fresh_context, serving
from tests.live.wire import Wire
from tests.livekit_hooks import entering
from tests.web.test_stage_view import SEEN

pytestmark = pytest.mark.live

LINE = "The quick brown fox jumps over the lazy dog."
LONG = " ".join(["This is a long story about nothing at all, and it goes on and on without any pause."] * 8)
SPEAK_S = 15.0
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def stage(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A worker in `ROOM` with the local avatar; livekit-client as the build brings it."""
    fetch(*LIVEKIT_CLIENT, VENDOR)
    folder = tmp_path_factory.mktemp("stage")
    avatar_log, log = folder / "avatar.log", folder / "worker.log"
    with shell.running("avatar", "run", "--json", "--size", "256", log=avatar_log) as avatar:
        wait_for_line(avatar_log, "TAVUS_API_KEY", avatar)
        told = json.loads(next(one for one in avatar_log.read_text().splitlines() if one.startswith("{")))
        keys = {"TAVUS_BASE_URL": told["TAVUS_BASE_URL"], "TAVUS_API_KEY": told["TAVUS_API_KEY"]}
        # A name of its own: the other workers of this server have no avatar.
        run = ("agent", "run", "--agent-name", AGENT, "--room", ROOM)
        with shell.running(*run, log=log, TAVUS_FACE_ID="local", **keys) as worker:
            wait_for_line(log, "worker is ready", worker)
            yield


@pytest.fixture(scope="module")
def served(shell: Shell, stage: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(shell, tmp_path_factory.mktemp("serve"), "--port", "0") as served:
        yield served


Open = Callable[..., AbstractAsyncContextManager[Visit]]


@pytest.fixture
async def visit(browser: Browser, served: Served) -> AsyncIterator[Open]:
    """Opens the page as a browser of its own; at the end nothing is spoken any more."""

    @asynccontextmanager
    async def opening(url: str = served.page, *, state: str = "live", **context: Any) -> AsyncIterator[Visit]:
        async with fresh_context(browser, **context) as fresh:
            visit = Visit(await fresh.new_page())
            await visit.page.goto(url)
            await visit.state(state)
            yield visit

    yield opening
    async with httpx2.AsyncClient(trust_env=False) as client:
        await client.post(f"{served.url}/api/stop", json={})
        await client.post(f"{served.url}/api/rooms/{ROOM}/queue/resume")


async def test_it_joins_and_the_picture_moves(visit: Open) -> None:
    async with visit() as one:
        await one.sees(25)
        await expect(one.status).to_contain_text("Ready")
        await expect(one.status).to_contain_text("avatar")
        assert await one.page.evaluate("document.getElementById('stage-video').videoWidth") == 256
        assert one.complaints == []


async def test_a_spoken_line_is_heard_while_it_is_spoken_and_only_then(visit: Open) -> None:
    async with visit() as one:
        await one.sees()
        ear = await Ear.of(one.page)
        await ear.silence(1.0)
        await one.says(LINE)
        said_at = await ear.last_click()
        began_at = await ear.hear(said_at)
        await expect(one.status).to_contain_text("Speaking")
        await ear.silence(1.0)
        loud = await ear.loud(said_at)
        assert 100 < began_at - said_at < 3000
        assert 1500 < loud[-1] - began_at < 8000
        await expect(one.status).to_contain_text("Ready")
        assert one.complaints == []


async def test_a_spoken_line_shows_in_captions_and_as_a_row_of_latency(visit: Open) -> None:
    async with visit() as one:
        await one.says(LINE)
        await expect(one.captions).to_contain_text("The quick brown fox", timeout=SPEAK_S * 1000)
        await expect(one.rows).to_have_count(1, timeout=SPEAK_S * 1000)
        await expect(one.rows).to_contain_text(re.compile(r"avatar|tavus"))
        await expect(one.latency).to_contain_text(re.compile(r"p50\s*[1-9]"))
        await expect(one.text_box).to_have_value("")


async def test_ctrl_enter_speaks(visit: Open) -> None:
    async with visit() as one:
        ear = await Ear.of(one.page)
        await ear.silence(0.5)
        await one.text_box.fill(LINE)
        await one.text_box.press("Control+Enter")
        await ear.hear()


async def test_stop_silences_the_page_within_300_ms_of_the_click(visit: Open) -> None:
    """From the click's own time stamp to the last sound that the browser has decoded and plays: the median of
    three, since all of it, browser and avatar included, runs on this one machine. When the page itself stood
    still for longer than its 10 ms, that is not counted.
    """
    took_ms: list[float] = []
    async with visit() as one:
        ear = await Ear.of(one.page)
        for _ in range(3):
            await ear.silence(0.5)
            await one.says(LONG)
            await ear.hear()
            await asyncio.sleep(0.7)
            await one.button("Stop").click()
            clicked_at = await ear.last_click()
            await ear.silence(2.0)  # longer than the page is mute by itself; some 30 s of text were to go
            last_loud = (await ear.loud())[-1]
            assert last_loud > clicked_at - 500  # it did sound until then
            took_ms.append(last_loud - clicked_at - await ear.stall(clicked_at, last_loud))
        assert statistics.median(took_ms) < 300, took_ms
        await expect(one.status).to_contain_text("Ready")


async def test_a_refused_line_is_told_beside_the_text_which_stays(visit: Open) -> None:
    async with visit() as one:
        await one.says("😀😀")
        alert = one.page.get_by_role("alert").filter(has_text=re.compile(r"\w"))
        await expect(alert).to_be_visible()
        await expect(one.text_box).to_have_value("😀😀")
        told, box = await alert.bounding_box(), await one.text_box.bounding_box()
        assert told and box
        assert abs(told["y"] - box["y"]) < box["height"] + 200
        await one.says(LINE)
        await expect(alert).to_be_hidden()


async def test_the_queue_shows_what_waits(visit: Open) -> None:
    async with visit() as one:
        for _ in range(3):
            await one.says(LONG)
            await expect(one.text_box).to_have_value("")
        queue = one.page.get_by_role("list", name="Queue")
        await expect(queue.get_by_role("listitem")).not_to_have_count(0)
        await one.button("Stop").click()
        await expect(queue.get_by_role("listitem")).to_have_count(0)


async def test_what_a_stop_has_dropped_is_told_and_one_click_has_it_said_after_all(visit: Open) -> None:
    async with visit() as one:
        for text in (LONG, "The first one.", "The second one."):
            await one.says(text)
            await expect(one.text_box).to_have_value("")
        await expect(one.status).to_contain_text("Speaking")
        await one.button("Stop").click()
        await expect(one.page.get_by_text("2 lines that waited will not be said.")).to_be_visible()
        await one.button("Say them after all").click()
        await expect(one.captions).to_contain_text("The second one.", timeout=SPEAK_S * 1000)
        spoken = await one.captions.locator("p").all_text_contents()
        assert [text for text in spoken if "one." in text] == ["The first one.", "The second one."]
        await expect(one.button("Say them after all")).to_be_hidden()


async def test_a_voice_is_heard_where_that_is_asked_for_and_what_was_written_stays(visit: Open) -> None:
    async with visit() as one:
        ear = await Ear.of(one.page)
        await one.text_box.fill("A draft.")
        await expect(one.page.get_by_label("Voice", exact=True)).to_have_attribute(
            "placeholder", "heart (set)"
        )
        await expect(one.page.get_by_text("1× (set)")).to_be_visible()
        await one.page.get_by_label("Manner").fill("warmly")
        await one.button("Hear it").click()
        await ear.hear()
        await expect(one.captions).to_contain_text("This is the voice that is set.")
        await expect(one.text_box).to_have_value("A draft.")
        await one.page.get_by_text("This as code").click()
        await expect(one.page.get_by_text('"instructions": "warmly"')).to_be_visible()


async def test_one_line_is_taken_out_of_the_queue_and_the_others_are_said(visit: Open) -> None:
    async with visit() as one:
        for text in (LONG[:170], "The first one.", "The second one."):
            await one.says(text)
            await expect(one.text_box).to_have_value("")
        taken_out = one.button("Take out: The first one.")
        await taken_out.focus()
        await taken_out.press("Enter")
        await expect(taken_out).to_have_count(0)
        await expect(one.button("Take out: The second one.")).to_be_focused()
        await expect(one.page.get_by_text("1 line that waited will not be said.")).to_be_visible()
        await expect(one.captions).to_contain_text("The second one.", timeout=SPEAK_S * 1000)
        await expect(one.captions).not_to_contain_text("The first one.")


async def test_lines_are_moved_and_paused_by_keyboard_and_axe_finds_nothing_wrong_with_it(
    visit: Open,
) -> None:
    async with visit() as one:
        pause, queue = one.button("Pause"), one.page.get_by_role("list", name="Queue")
        if not await pause.is_visible():
            await one.page.get_by_text("Details").first.click()
        await pause.press("Enter")
        await expect(one.button("Resume")).to_be_focused()
        await expect(one.page.get_by_text("Paused: nothing begins until it is resumed.")).to_be_visible()
        for text in ("The first one.", "The second one.", "The third one."):
            await one.says(text)
            await expect(one.text_box).to_have_value("")
        await expect(queue.get_by_role("listitem")).to_have_count(3)
        assert await axe(one.page) == []
        await one.button("Move to the front: The third one.").press("Enter")
        await expect(queue.get_by_role("listitem").first).to_contain_text("The third one.")
        await expect(one.button("Take out: The third one.")).to_be_focused()
        await one.button("Move up: The second one.").press("Enter")
        await expect(queue.get_by_role("listitem").nth(1)).to_contain_text("The second one.")
        await expect(one.button("Move up: The second one.")).to_be_focused()
        await one.button("Take out: The first one.").press("Enter")
        await expect(queue.get_by_role("listitem")).to_have_count(2)
        await one.button("Resume").press("Enter")
        await expect(one.captions).to_contain_text("The second one.", timeout=SPEAK_S * 1000)
        spoken = await one.captions.locator("p").all_text_contents()
        assert [text for text in spoken if "one." in text] == ["The third one.", "The second one."]


async def test_a_line_that_was_stopped_is_said_again_where_that_is_asked_for(visit: Open) -> None:
    async with visit() as one:
        ear = await Ear.of(one.page)
        await one.says(LONG)
        await ear.hear()
        await one.button("Stop").click()
        await ear.silence(1.0)
        again = one.captions.get_by_role("button", name="Say it again")
        await again.click()
        await ear.hear()
        await expect(again).to_be_disabled()


async def test_it_can_be_muted_and_says_so_to_who_cannot_see_it(visit: Open) -> None:
    async with visit() as one:
        ear = await Ear.of(one.page)
        await one.button("Mute").click()
        await expect(one.button("Mute")).to_have_attribute("aria-pressed", "true")
        await one.says(LONG)
        await expect(one.status).to_contain_text("Speaking")
        muted_at = await ear.now()
        await asyncio.sleep(2)
        assert await ear.loud(muted_at) == []
        await one.button("Mute").click()
        await ear.hear()


async def test_how_one_views_it_is_remembered_and_details_are_folded_away_at_first(
    browser: Browser, served: Served
) -> None:
    async with fresh_context(browser, has_details=False) as context:
        one = Visit(await context.new_page())
        await one.page.goto(served.page)
        await one.state("live")
        queue = one.page.get_by_role("heading", name="Queue")
        await expect(queue).to_be_hidden()
        await one.button("Details").click()
        await one.button("Captions").click()
        await one.page.get_by_label("Volume").fill("40")
        await one.page.reload()
        await one.state("live")
        await expect(queue).to_be_visible()
        await expect(one.captions).to_be_hidden()
        await expect(one.page.get_by_label("Volume")).to_have_value("40")
        sounds = "[...document.querySelectorAll('#stage-sound audio')].map((sound) => sound.volume)"
        await one.sees()
        assert set(await one.page.evaluate(sounds)) == {0.4}


async def test_the_whole_screen_shows_picture_and_captions(visit: Open) -> None:
    async with visit() as one:
        await one.sees()
        await one.button("Full screen").click()
        await expect(one.button("Leave full screen")).to_be_visible()
        assert await one.page.evaluate("document.fullscreenElement.id") == "show"
        await one.button("Leave full screen").click()
        await expect(one.button("Full screen")).to_be_visible()


async def test_a_sample_fills_the_text_box_and_samples_go_once_something_is_said(visit: Open) -> None:
    async with visit() as one:
        sample = one.page.get_by_role("button", name=re.compile("^Hello!"))
        await sample.click()
        await expect(one.text_box).to_have_value(re.compile("^Hello!"))
        await one.button("Speak").click()
        await expect(one.captions).to_contain_text("Hello!", timeout=SPEAK_S * 1000)
        await expect(sample).to_be_hidden()


async def test_the_command_that_the_page_shows_has_the_same_line_spoken(visit: Open) -> None:
    async with visit() as one:
        await one.page.get_by_text("This as code").click()
        await one.text_box.fill("This came from a shell's line.")
        curl = await one.page.locator("#curl").text_content()
        assert curl
        done = await asyncio.to_thread(subprocess.run, curl, shell=True, capture_output=True, text=True)
        assert json.loads(done.stdout)["level"] == "accepted", done
        await expect(one.captions).to_contain_text("This came from a shell's line.", timeout=SPEAK_S * 1000)


@pytest.mark.parametrize(
    "viewport",
    [{"width": 1280, "height": 820}, {"width": 640, "height": 410}, PHONE],
    ids=["desktop", "200 % zoom", "phone"],
)
async def test_the_stage_is_16_to_9_and_stays_where_it_is_whatever_is_told(
    visit: Open, viewport: Any
) -> None:
    async with visit(viewport=viewport, has_details=False) as one:
        await one.sees()
        await expect(one.page.locator("#stage-video")).to_have_css("opacity", "1")
        place = """() => {
          const {left, top, width, height} = document.getElementById("stage").getBoundingClientRect();
          return {left, top: top + scrollY, width, height};
        }"""
        before = await one.page.evaluate(place)
        await expect(one.button("Speak")).to_be_in_viewport(ratio=1)
        assert before["width"] / before["height"] == pytest.approx(16 / 9, abs=0.02)
        assert before["height"] <= max(0.4 * viewport["height"], viewport["height"] - 400)
        await one.says("😀😀")
        await expect(one.page.get_by_role("alert").filter(has_text=re.compile(r"\w"))).to_be_visible()
        await one.says(LINE)
        await expect(one.captions).to_contain_text("quick brown", timeout=SPEAK_S * 1000)
        assert await one.page.evaluate(place) == before


async def test_it_comes_back_when_liba_serve_was_killed_and_started_again(
    shell: Shell, stage: None, tmp_path: Path, browser: Browser
) -> None:
    port = str(free_port())
    async with fresh_context(browser) as context:
        visit = Visit(await context.new_page())
        with serving(shell, tmp_path, "--port", port) as served:
            await visit.page.goto(served.page)
            await visit.state("live")
        await visit.state("reconnecting", "offline")
        await expect(visit.status).to_contain_text(
            re.compile("reconnecting|offline|not reached", re.IGNORECASE)
        )
        await expect(visit.page.get_by_text(re.compile(r"next try in \d+ s"))).to_be_visible(timeout=30_000)
        silent = visit.page.get_by_text("The page's server does not answer")
        await expect(silent).to_be_visible(timeout=SPEAK_S * 1000)
        await expect(visit.page.get_by_text("liba serve", exact=True)).to_be_visible()
        with serving(shell, tmp_path, "--port", port):
            await visit.state("live")
            await visit.sees()
            await expect(visit.page.get_by_text(re.compile("next try"))).to_have_count(0)
            await visit.says(LINE)
            await expect(visit.captions).to_contain_text("The quick brown fox", timeout=SPEAK_S * 1000)


async def link_of(url: str, key: str) -> str:
    """A link by which one browser is let in, as who has the key gets it."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{url}/api/link", json={"can_say": True}, headers=headers)
    return str(answer.raise_for_status().json()["url"])


async def test_a_key_lets_the_page_in_again_where_its_session_is_forgotten_and_sound_is_not_doubled(
    shell: Shell, stage: None, tmp_path: Path, browser: Browser, credentials: LiveKitCredentials
) -> None:
    port = str(free_port())
    made = json.loads(shell.run("serve", "--new-key", "test", "--json").stdout)
    async with fresh_context(browser) as context:
        one = Visit(await context.new_page())
        with serving(shell, tmp_path, "--port", port, LIBA_SERVE_KEYS=made["entry"]) as served:
            await one.page.goto(await link_of(served.url, made["key"]))
            await one.state("live")
            await one.sees()
        with serving(shell, tmp_path, "--port", port, LIBA_SERVE_KEYS=made["entry"]):
            await one.state("key")
            await one.page.get_by_label("API key").fill(made["key"])
            await one.page.get_by_label("API key").press("Enter")
            await one.state("live")
            await one.sees(25)
            async with livekit_api(credentials) as livekit:
                assert len(await viewers(livekit)) == 1
            await one.says(LINE)
            await expect(one.captions.get_by_text(LINE)).to_have_count(1, timeout=SPEAK_S * 1000)


async def test_it_comes_back_when_livekit_was_out_of_reach_and_says_meanwhile_what_is_wrong(
    shell: Shell, stage: None, tmp_path: Path, browser: Browser, credentials: LiveKitCredentials
) -> None:
    far = urlsplit(credentials.url)
    async with Wire(far.hostname or "", far.port or 0).laid() as wire, fresh_context(browser) as context:
        url = f"ws://127.0.0.1:{wire.near_port}"
        async with beside(serving(shell, tmp_path, "--port", "0", LIVEKIT_URL=url)) as served:
            one = Visit(await context.new_page())
            await one.page.goto(served.page)
            await one.state("live")
            await one.sees()
            wire.cut()
            await one.state("reconnecting")
            silent = one.page.get_by_text("The LiveKit server does not answer")
            await expect(silent).to_be_visible(timeout=SPEAK_S * 1000)
            wire.mend()
            await one.state("live", timeout_s=30)
            await one.sees(25)
            ear = await Ear.of(one.page)
            await one.says(LINE)
            await ear.hear()


async def test_it_joins_anew_when_the_server_has_put_it_out(
    visit: Open, credentials: LiveKitCredentials
) -> None:
    async with visit() as one:
        await one.sees()
        async with livekit_api(credentials) as livekit:
            for viewer in await viewers(livekit):
                await livekit.room.remove_participant(RoomParticipantIdentity(room=ROOM, identity=viewer))
        await one.state("reconnecting")
        await one.sees(25, timeout_s=30)
        await one.state("live")


async def test_where_no_agent_is_it_says_how_to_start_one(visit: Open, served: Served) -> None:
    async with visit(f"{served.url}/#room=nobody-is-here", state="no-agent") as one:
        await expect(one.status).to_contain_text("Agent offline")
        await expect(one.page.get_by_text("liba agent run")).to_be_visible()


async def test_autoplay_that_is_blocked_is_told_and_one_click_turns_sound_on(served: Served) -> None:
    async with chromium(sound_needs_a_gesture=True) as strict, fresh_context(strict) as context:
        one = Visit(await context.new_page())
        async with sound_refused(one.page):
            await one.page.goto(served.page)
        await expect(one.button("Click to listen")).to_be_visible()
        assert await one.page.evaluate("ear.playing().length") == 0
        await one.button("Click to listen").click()
        await expect(one.button("Click to listen")).to_be_hidden()
        ear = await Ear.of(one.page)
        await one.says(LINE)
        await ear.hear()


async def test_nothing_asks_to_click_where_sound_may_play(visit: Open) -> None:
    async with visit() as one:
        await one.sees()
        await expect(one.button("Click to listen")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone_nothing_is_wider_than_the_screen_and_speak_is_in_sight(
    visit: Open, scheme: Literal["light", "dark"]
) -> None:
    async with visit(viewport=PHONE, color_scheme=scheme) as one:
        await one.sees()
        assert await one.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await expect(one.button("Speak")).to_be_in_viewport(ratio=1)
        await expect(one.text_box).to_be_in_viewport()
        await one.button("Link for another screen").click()
        await expect(one.page.get_by_role("dialog")).to_be_visible()
        assert await one.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


async def test_the_keyboard_alone_reaches_all_and_one_sees_where_it_is(visit: Open) -> None:
    async with visit() as one:
        await one.text_box.fill(LINE)
        wanted = await controls(one.page)
        reached = await tab_round(one.page)
        assert {*wanted} - {where.name for where in reached} == set()
        assert [where.name for where in reached if not where.is_visible] == []
        assert [where.name for where in reached] == wanted  # in the order of the page


async def test_the_keyboard_alone_opens_and_closes_the_link_and_comes_back_to_its_button(visit: Open) -> None:
    async with visit() as one:
        await one.button("Link for another screen").press("Enter")
        dialog = one.page.get_by_role("dialog")
        await expect(dialog).to_be_visible()
        assert await dialog.evaluate("dialog => dialog.contains(document.activeElement)")
        await one.page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(one.button("Link for another screen")).to_be_focused()


async def test_the_link_for_another_screen_opens_the_page_there(visit: Open, served: Served) -> None:
    async with visit() as one:
        await one.button("Link for another screen").click()
        dialog = one.page.get_by_role("dialog")
        link = dialog.get_by_role("link")
        await expect(link).to_have_attribute("href", f"{served.url}/#room={ROOM}")
        async with visit(f"{served.url}/#room={ROOM}") as other:
            await other.sees()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_that_shuts_people_out(visit: Open, scheme: Literal["light", "dark"]) -> None:
    async with visit(color_scheme=scheme) as one:
        await one.says(LINE)
        await expect(one.captions).to_contain_text("The quick brown fox", timeout=SPEAK_S * 1000)
        assert await axe(one.page) == []
        await one.says("😀")
        await expect(one.page.get_by_role("alert").filter(has_text=re.compile(r"\w"))).to_be_visible()
        assert await axe(one.page) == []
        await one.button("Link for another screen").click()
        await expect(one.page.get_by_role("dialog")).to_be_visible()
        assert await axe(one.page) == []


RECEIVERS = """
// Runs before any script of the page. Finds its receivers, and has sound seem as late as `jitter` says.
window.jitter = null;
window.counted = {};  // by track of sound: jitter, and samples made up, at each look
{
  const connections = [];
  const Real = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Real {
    constructor(...given) { super(...given); connections.push(this); }
  };
  const {getStats} = RTCRtpReceiver.prototype;
  RTCRtpReceiver.prototype.getStats = async function () {
    const report = await getStats.call(this);
    return new Map([...report].map(([id, one]) => {
      if (one.type !== "inbound-rtp" || one.kind !== "audio") return [id, one];
      (counted[id] ??= []).push([one.jitter, one.concealedSamples - one.silentConcealedSamples]);
      return [id, jitter === null ? one : {...one, jitter}];
    }));
  };
  window.targets = () => connections.flatMap((one) => one.getReceivers())
    .filter((one) => one.track.readyState === "live")
    .map((one) => [one.track.kind, one.jitterBufferTarget ?? 0]);
}
"""
LATE_S, MADE_UP = 0.02, 480


async def targets(visit: Visit) -> set[tuple[str, int]]:
    """What each receiver was told: whether it is of sound or picture, and milliseconds."""
    return {(kind, round(target)) for kind, target in await visit.page.evaluate("targets()")}


async def is_calm(visit: Visit) -> bool:
    """Whether this machine was not too busy to be what a clean network is: hardly a packet came late."""
    counted = (await visit.page.evaluate("counted")).values()
    late = [jitter for track in counted for jitter, _ in track if jitter >= LATE_S]
    made_up = [after - before for track in counted for (_, before), (_, after) in itertools.pairwise(track)]
    return len(late) < 3 and sum(samples >= MADE_UP for samples in made_up) < 2


async def test_on_a_clean_network_nothing_is_played_later_and_on_another_sound_and_picture_alike(
    browser: Browser, served: Served
) -> None:
    async with fresh_context(browser) as context:
        await context.add_init_script(RECEIVERS)
        visit = Visit(await context.new_page())
        await visit.page.goto(served.page)
        await visit.state("live")
        await visit.sees()
        ear, facts = await Ear.of(visit.page), visit.page.locator("#facts")
        await visit.says(LINE)
        await ear.hear(await ear.last_click())
        await asyncio.sleep(3)  # of looks, one a second, while it speaks
        if await is_calm(visit):
            assert await targets(visit) == {("audio", 0), ("video", 0)}
            await expect(facts).not_to_contain_text("Played later")
        await visit.page.evaluate("jitter = 0.05")
        await expect(facts).to_contain_text(re.compile("Played laterby [2-5][0-9]0 ms"), timeout=8000)
        found = await targets(visit)
        assert any({("audio", delay), ("video", delay)} <= found for delay in range(200, 501, 10)), found
        await visit.sees()
        assert visit.complaints == []


STREAMS = """
// Runs before any script of the page. Notes down of which participants' streams the tracks are that it gets:
// livekit-client asks for some beforehand, which are of a stream without a name of LiveKit's, or of none.
window.streams = {audio: [], video: []};
{
  const Real = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Real {
    constructor(...given) {
      super(...given);
      this.addEventListener("track", (event) => {
        const ids = event.streams.map((one) => one.id);
        streams[event.track.kind].push(...ids.filter((id) => id.startsWith("PA_")));
      });
    }
  };
}
"""


async def test_sound_and_picture_of_the_avatar_are_of_one_stream_or_a_browser_would_not_keep_them_in_step(
    browser: Browser, served: Served
) -> None:
    async with fresh_context(browser) as context:
        await context.add_init_script(STREAMS)
        visit = Visit(await context.new_page())
        await visit.page.goto(served.page)
        await visit.state("live")
        await visit.sees()
        streams = await visit.page.evaluate("streams")
    assert len(set(streams["video"])) == 1
    assert set(streams["video"]) < set(streams["audio"])  # the other one is that of the agent's own track


async def test_it_asks_for_no_camera_and_no_microphone(visit: Open) -> None:
    async with visit() as one:
        await one.sees()
        await one.says(LINE)
        await expect(one.captions).to_contain_text("The quick brown fox", timeout=SPEAK_S * 1000)
        assert await one.page.evaluate("ear.captures") == 0


async def test_without_livekit_client_it_says_so_and_speaks_still(browser: Browser, served: Served) -> None:
    async with fresh_context(browser) as context:
        await context.route("**/static/vendor/livekit-client.esm.mjs", lambda route: route.abort())
        one = Visit(await context.new_page())
        await one.page.goto(served.page)
        await expect(
            one.page.get_by_text(re.compile("no video|without video", re.IGNORECASE)).first
        ).to_be_visible()
        await one.says(LINE)
        await expect(one.captions).to_contain_text("The quick brown fox", timeout=SPEAK_S * 1000)
        await expect(one.rows).to_have_count(1, timeout=SPEAK_S * 1000)


async def test_a_stage_has_the_picture_the_sound_and_captions_and_nothing_else(
    visit: Open, served: Served
) -> None:
    stage = f"{served.url}/?view=stage&captions=1#room={ROOM}"
    async with visit(state="live") as page, visit(stage, state="on") as one:
        await one.sees(25)
        assert await one.page.evaluate(SEEN) == ["stage-video"]
        assert await axe(one.page) == []
        ear = await Ear.of(one.page)
        await page.says(LINE)
        await ear.hear()
        await expect(one.page.locator("#caption")).to_have_text(LINE, timeout=SPEAK_S * 1000)
        assert await one.page.evaluate(SEEN) == ["stage-video", "captions", "caption"]
        assert await axe(one.page) == []
        await expect(one.page.locator("#captions")).to_be_hidden()
        assert one.complaints == []


async def test_a_stage_whose_sound_is_blocked_has_one_small_button_that_goes_with_any_click(
    served: Served,
) -> None:
    async with chromium(sound_needs_a_gesture=True) as strict, fresh_context(strict) as context:
        one = Visit(await context.new_page())
        async with sound_refused(one.page):
            await one.page.goto(f"{served.url}/?view=stage#room={ROOM}")
        await expect(one.button("Click for sound")).to_be_visible()
        await one.page.mouse.click(5, 5)
        await expect(one.button("Click for sound")).to_be_hidden()


async def test_a_code_leaves_the_address_bar_and_no_secret_goes_into_an_address(
    shell: Shell, stage: None, tmp_path: Path, browser: Browser
) -> None:
    """Sockets are left out: LiveKit's own protocol has the room's token in the address of its signalling."""
    made = json.loads(shell.run("serve", "--new-key", "test", "--json").stdout)
    with serving(shell, tmp_path, "--port", "0", LIBA_SERVE_KEYS=made["entry"]) as served:
        link = await asyncio.to_thread(link_that_lets_in, served.url, made["key"])
        code = link.partition("code=")[2]
        assert len(code) > 20
        async with fresh_context(browser) as context:
            one = Visit(await context.new_page())
            await one.page.goto(link)
            await one.state("live")
            assert code not in one.page.url
            assert await one.page.evaluate("history.length") <= 2
            await one.says(LINE)
            await expect(one.captions).to_contain_text("The quick brown fox", timeout=SPEAK_S * 1000)
            secrets = re.compile(rf"{re.escape(code)}|lss_|liba_|eyJ|access_token")
            assert [url for url in one.urls if secrets.search(url.partition("#")[0])] == []
            await one.page.reload()
            await one.state("live")
        async with fresh_context(browser) as context:
            late = Visit(await context.new_page())
            await late.page.goto(link)
            await late.state("key")


async def test_f4_livekits_own_hooks_show_the_avatar_and_a_chat_message_is_spoken(
    browser: Browser, stage: None, credentials: LiveKitCredentials
) -> None:
    """`useVoiceAssistant`, `useAgent`, `useTranscriptions` and `useChat`, of LiveKit's packages."""
    token = join_token(credentials, room=ROOM, identity="hooked", permissions=Permissions(can_say=True))
    async with (
        fresh_context(browser) as context,
        entering(page := await context.new_page(), credentials, token) as hooks,
    ):
        avatar = "tavus-avatar-agent"
        both = {"audio": avatar, "video": avatar}
        seen = await hooks.until(
            lambda seen: seen.get("assistant") == both and seen["states"][-1] == "listening"
        )
        assert "failed" not in seen["agentStates"]
        ear = await Ear.of(page)
        since = await ear.now()
        await hooks.chat(LINE)
        await ear.hear(since)
        await hooks.until(lambda seen: seen["states"][-2:] == ["speaking", "listening"])
        seen = await hooks.until(lambda seen: "".join(one["text"] for one in seen["texts"]) == LINE)
        assert seen["agentStates"][-2:] == ["speaking", "listening"]
        assert (seen["assistant"], seen["agent"]) == (both, both)
        assert seen["chat"] == [{"from": "hooked", "message": LINE}]


async def test_f4_who_may_not_speak_is_told_in_the_chat_of_livekits_own_hooks(
    browser: Browser, stage: None, credentials: LiveKitCredentials
) -> None:
    permissions = Permissions(can_control=True)  # data may be sent, and nothing said
    token = join_token(credentials, room=ROOM, identity="hooked", permissions=permissions)
    async with (
        fresh_context(browser) as context,
        entering(await context.new_page(), credentials, token) as hooks,
    ):
        await hooks.until(lambda seen: seen["states"][-1:] == ["listening"])
        await hooks.chat(LINE)
        seen = await hooks.until(lambda seen: len(seen["chat"]) == 2)
        assert seen["chat"][1]["message"].startswith("Not spoken: ")
        assert "speaking" not in seen["states"]


def link_that_lets_in(url: str, key: str) -> str:
    """A link by which one browser may speak, as whoever has a key gets it."""
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx2.post(f"{url}/api/link", json={"can_say": True}, headers=headers, trust_env=False)
    return str(answer.json()["url"])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def livekit_api(credentials: LiveKitCredentials) -> LiveKitAPI:
    return LiveKitAPI(credentials.http_url, credentials.api_key, credentials.api_secret.get_secret_value())


async def viewers(livekit: LiveKitAPI) -> list[str]:
    """Identities of the browsers in the room."""
    there = await livekit.room.list_participants(ListParticipantsRequest(room=ROOM))
    return [who.identity for who in there.participants if who.identity.startswith("viewer-")]
