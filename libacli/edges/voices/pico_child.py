"""The process that runs py-nanotts: PicoTTS, which may hang or break on what it was not made for.

Run as a script. It knows the standard library and py-nanotts only. A request is a line of JSON: `text`,
`voice` ("de-DE"), `speed`; the answer a line of JSON, `{"bytes": n}` followed by n bytes of PCM (16 kHz mono
s16le), or `{"error": "…"}`. It ends when its input does, and the kernel ends it when one text takes too long.
"""

from __future__ import annotations

import json
import os
import signal
import sys

_LONGEST_CPU_S = 2.0
"""Forty times what the longest piece takes; py-nanotts holds on for ever to some texts."""

_MOST_MEMORY = 512 * 2**20
_VOLUME = 0.3
"""As loud as hibari; at 1 it clips."""


def main() -> None:
    # Whatever the engine prints is no answer.
    with open(os.dup(1), "wb", buffering=0) as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _bound_memory()
        from py_nanotts import NanoTTS

        engine = NanoTTS()
        for line in sys.stdin.buffer:
            signal.setitimer(signal.ITIMER_PROF, _LONGEST_CPU_S)  # ends us, as nobody handles SIGPROF
            answers.write(_answer(engine, json.loads(line)))
            signal.setitimer(signal.ITIMER_PROF, 0)


def _answer(engine: object, asked: dict[str, object]) -> bytes:
    try:
        pcm: bytes = engine.speak(  # type: ignore[attr-defined]
            asked["text"], voice=asked["voice"], speed=asked["speed"], volume=_VOLUME
        )
    except Exception as error:  # of native code
        return json.dumps({"error": type(error).__name__}).encode() + b"\n"
    return json.dumps({"bytes": len(pcm)}).encode() + b"\n" + pcm


def _bound_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
