"""What a pod's environment holds beside what its author has put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from libacli.config import Settings, variable_name
from libacli.edges.checks.machine import service_links
from libacli.errors import ConfigError
from libacli.kubernetes import is_service_link
from tests.test_config import Sources

POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}


def links(service: str, port: int = 8080, protocol: str = "TCP") -> dict[str, str]:
    """All that the kubelet sets for a Service with one port that is named `http`."""
    prefix, ip = service.upper().replace("-", "_"), "10.0.0.1"
    address, of_port = f"{protocol.lower()}://{ip}:{port}", f"{prefix}_PORT_{port}_{protocol}"
    return {
        f"{prefix}_SERVICE_HOST": ip,
        f"{prefix}_SERVICE_PORT": str(port),
        f"{prefix}_SERVICE_PORT_HTTP": str(port),
        f"{prefix}_PORT": address,
        of_port: address,
        f"{of_port}_PROTO": protocol.lower(),
        f"{of_port}_PORT": str(port),
        f"{of_port}_ADDR": ip,
    }


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


@pytest.mark.parametrize(
    "service",
    ["liba", "liba-serve", "liba-redis", "liba-agent-health", "livekit", "openai", "openai-api", "tavus"],
)
@pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP"])
def test_k8s_service_links_of_any_name_set_nothing(sources: Sources, service: str, protocol: str) -> None:
    found = links(service, protocol=protocol)
    loaded = sources.load(found)
    assert loaded.settings == Settings()
    assert loaded.passed_over == tuple(sorted(found))


def test_an_address_in_ipv6_is_passed_over_too(sources: Sources) -> None:
    assert sources.load({"LIBA_SERVE_PORT": "tcp://[fd00::1]:80"}).settings.serve_port == 8080


def test_what_is_set_beside_the_links_counts(sources: Sources) -> None:
    settings = sources.load(links("liba-serve") | {"LIBA_SERVE_HOST": "::1"}).settings
    assert (settings.serve_host, settings.serve_port) == ("::1", 8080)


@pytest.mark.parametrize("value", ["http", "tcp://", "80a", "http://10.0.0.1:80"])
def test_a_port_that_is_none_stays_an_error(sources: Sources, value: str) -> None:
    with pytest.raises(ConfigError, match=r"^serve\.port: .* \(from environment LIBA_SERVE_PORT\)"):
        sources.load({"LIBA_SERVE_PORT": value})


def test_a_link_in_a_file_is_a_mistake_of_who_wrote_it(sources: Sources) -> None:
    sources.write(".env", "LIBA_SERVICE_HOST=10.0.0.1")
    with pytest.raises(ConfigError, match="LIBA_SERVICE_HOST is not a setting"):
        sources.load()


def test_no_setting_is_called_as_a_link_is() -> None:
    assert not [field for field in Settings.model_fields if is_service_link(variable_name(field), "8080")]


def test_the_doctor_tells_what_was_passed_over(sources: Sources) -> None:
    assert service_links(sources.load()) is None
    finding = service_links(sources.load(links("liba")))
    assert finding and finding.verdict == "ok"
    assert finding.message.endswith(
        "LIBA_PORT, LIBA_PORT_8080_TCP, LIBA_PORT_8080_TCP_ADDR, LIBA_PORT_8080_TCP_PORT and 4 more"
    )


def test_in_a_pod_the_health_check_can_be_reached_unless_somebody_says_otherwise(sources: Sources) -> None:
    loaded = sources.load(POD)
    assert (loaded.settings.agent_health_host, loaded.settings.agent_health_port) == ("0.0.0.0", 8081)
    assert loaded.origins["agent_health_port"] == "Kubernetes"
    sources.user_file.write_text('[agent]\nhealth_host = "127.0.0.1"')
    settings = sources.load(POD | {"LIBA_AGENT_HEALTH_PORT": "0"}).settings
    assert (settings.agent_health_host, settings.agent_health_port) == ("127.0.0.1", 0)
