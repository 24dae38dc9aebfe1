"""Where OpenTelemetry's standard variables have a signal go, and the SDK's exporter for that."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from libacli.config import is_loopback
from libacli.errors import ConfigError

Signal = Literal["traces", "metrics"]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics")

_EXPORTERS: Mapping[Signal, tuple[str, str]] = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
}
_PACKAGES = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http",
}
_SCHEMES = ("http", "https")


@dataclass(frozen=True)
class Target:
    """Where one signal goes."""

    signal: Signal
    protocol: str
    """`grpc` or `http/protobuf`."""

    url: str

    @classmethod
    def find(cls, signal: Signal, environment: Mapping[str, str]) -> Target | None:
        """The target that the variables name; None: that signal is not wanted. Raises ConfigError."""

        def value(name: str) -> str:
            own = environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "").strip()
            return own or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

        exporters = environment.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or "otlp"
        if not (url := value("ENDPOINT")) or "otlp" not in (name.strip() for name in exporters.split(",")):
            return None
        protocol = value("PROTOCOL") or "http/protobuf"
        if protocol not in _PACKAGES:
            raise ConfigError(
                f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol!r} is not known",
                hint="it may be grpc or http/protobuf",
            )
        _check_address(url, protocol)
        is_base = not environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
        if protocol == "http/protobuf" and is_base:
            url = f"{url.rstrip('/')}/v1/{signal}"
        return cls(signal, protocol, url)

    @property
    def place(self) -> str:
        """Where that is, without a password that the URL may hold."""
        return urlsplit(self.url).netloc.rpartition("@")[2] or self.url

    def exporter(self) -> Any:
        """The SDK's exporter. Raises what the SDK, the network library or a file has against a variable."""
        options: dict[str, Any] = {"endpoint": self.url}
        if is_loopback(self.url) and self.protocol == "grpc":
            options["channel_options"] = (("grpc.enable_http_proxy", 0),)
        elif is_loopback(self.url):
            options["session"] = importlib.import_module("requests").Session()
            options["session"].trust_env = False  # no proxy can reach this machine
        module, name = _EXPORTERS[self.signal]
        return getattr(importlib.import_module(f"{_PACKAGES[self.protocol]}.{module}"), name)(**options)


def _check_address(url: str, protocol: str) -> None:
    """Raises ConfigError unless `url`, which may hold a password, is one; gRPC takes others, too."""
    try:
        parts = urlsplit(url)
        is_address = protocol == "grpc" or (parts.scheme in _SCHEMES and bool(parts.hostname))
    except ValueError:
        is_address = False
    if not is_address:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is no address", hint="it is like http://127.0.0.1:4318"
        )
