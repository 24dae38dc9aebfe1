"""How somebody comes by the secrets that the files name; none of them is ever in a file of ours."""

from __future__ import annotations

from collections.abc import Iterable

_ORIGINS = {
    "LIVEKIT_API_KEY": "of your LiveKit project, or made up for a server of your own",
    "LIVEKIT_API_SECRET": "the same",
    "OPENAI_API_KEY": "of your OpenAI project",
    "TAVUS_API_KEY": "of your Tavus account",
    "LIBA_REDIS_URL": "made below",
    "LIBA_SERVE_KEYS": "the `entry` of: liba serve --new-key page --json; its `key` is what lets in",
}

_WIDTH = max(map(len, _ORIGINS))


def to_fill_in(names: Iterable[str]) -> str:
    """A comment: each name, and where its value comes from."""
    return "\n".join(f"#      {name:<{_WIDTH}}  {_ORIGINS[name]}" for name in names)


def making_redis(host: str) -> str:
    """A comment: commands that make a password for Redis at `host`, and two files that hold it.

    `printf` is a part of the shell, so nobody sees the password among the processes.
    """
    return (
        "#      printf 'requirepass %s\\n' \"$(openssl rand -hex 24)\" > redis.conf\n"
        f"#      printf 'redis://:%s@{host}:6379/0' \"$(cut -d' ' -f2 redis.conf)\" > LIBA_REDIS_URL"
    )


def making_livekit() -> str:
    """A comment: commands that make key and secret for a LiveKit server, and its settings that hold them."""
    return (
        '#      printf API%s "$(openssl rand -hex 6)" > LIVEKIT_API_KEY\n'
        '#      printf %s "$(openssl rand -hex 32)" > LIVEKIT_API_SECRET\n'
        "#      printf 'port: 7880\\nrtc: {tcp_port: 7881, udp_port: 7882}\\nkeys: {%s: %s}\\n' \\\n"
        '#        "$(cat LIVEKIT_API_KEY)" "$(cat LIVEKIT_API_SECRET)" > livekit.yaml'
    )
