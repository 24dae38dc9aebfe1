"""Settings `metrics.*` and `prices.*`: what is kept of each utterance, and what that has cost."""

from pydantic import Field

from libacli.config_values import Table
from libacli.settings.group import Group


class MetricsSettings(Group):
    """Records, what is told of them, and what is fine."""

    metrics_store: bool = Field(
        default=True, description="Keep one record of each utterance, without its text, in a local file"
    )
    metrics_keep_days: int = Field(
        default=30, ge=1, le=3650, description="Days after which records are forgotten"
    )
    metrics_keep_mb: int = Field(
        default=64, ge=1, le=10_000, description="Most megabytes of records; the oldest go first"
    )
    metrics_prometheus_port: int = Field(
        default=0, ge=0, le=65535, description="Port where the agent tells Prometheus; 0: it does not"
    )
    metrics_prometheus_host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to bind that port to; anybody there may read"
    )
    metrics_room_names: bool = Field(
        default=False, description="Traces for OpenTelemetry name the room, which may tell who is in it"
    )
    metrics_budget_d01: float = Field(
        default=900.0,
        gt=0,
        description="Milliseconds from a line's turn to T1 that are fine; twice is not",
    )
    metrics_budget_d12: float = Field(
        default=50.0, gt=0, description="The same for T1 to T2: from the voice to the sink"
    )
    metrics_budget_d2a: float = Field(
        default=500.0, gt=0, description="The same for T2 to TA: from the sink until it can be heard"
    )

    prices_currency: str = Field(
        default="USD",
        pattern="^[A-Z]{3}$",
        description="What prices are in; no vendor's price is built in: see `liba metrics summary --cost`",
    )
    prices_voices: Table = Field(
        default={},
        description="By model, model/voice or provider: AMOUNT per 1M chars, per 1000 chars or per minute",
    )
    prices_avatar: str = Field(
        default="", max_length=64, description="Of avatar time: 0.37 per minute; empty: nobody knows"
    )
