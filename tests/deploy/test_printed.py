"""What is printed fits liba as it is, and gives away nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from libacli.cli.runs import agent, serve
from libacli.config import Settings, is_secret, variable_name
from libacli.deploy.sizes import GRACE_S, sizes
from libacli.edges.metrics.prometheus import PrometheusMeter
from tests.deploy.printed import ALL, CLOUD, COMPOSE, K8S, UNITS, documents, pods, services, variables

MARGIN_S = 10
FIELDS = {variable_name(field): field for field in Settings.model_fields}


@pytest.mark.parametrize("name", ALL)
def test_every_variable_is_a_setting(name: str) -> None:
    assert {variable.removesuffix("_FILE") for variable in variables(ALL[name])} <= FIELDS.keys()


@pytest.mark.parametrize("name", ALL)
def test_a_secret_is_named_by_its_file_alone(name: str) -> None:
    given = {variable for variable in variables(ALL[name]) if not variable.endswith("_FILE")}
    assert not {variable for variable in given if is_secret(FIELDS.get(variable, "log_level"))}
    assert not {"LIVEKIT_API_KEY", "LIBA_SERVE_KEYS"} & given


def test_the_variables_are_seen_at_all() -> None:
    wanted = {"LIVEKIT_URL", "LIBA_AGENT_NAME", "LIVEKIT_API_SECRET_FILE"}
    for text in (*K8S.values(), *COMPOSE.values()):
        assert wanted <= variables(text)
    assert {"LIBA_AGENT_NAME", "LIBA_AGENT_MAX_ROOMS", "TAVUS_API_KEY_FILE"} <= variables(
        UNITS["liba-agent.service"]
    )


def test_the_time_to_end_covers_what_a_worker_and_the_page_take() -> None:
    assert agent._LEAVE_TIMEOUT_S + MARGIN_S <= GRACE_S
    assert serve._FINISH_S + MARGIN_S <= GRACE_S
    assert {pod["terminationGracePeriodSeconds"] for _, pod in pods()} == {GRACE_S}
    assert {services()[name]["stop_grace_period"] for name in ("agent", "serve")} == {f"{GRACE_S}s"}
    assert f"\nTimeoutStopSec={GRACE_S}\n" in UNITS["liba-agent.service"]


def test_the_autoscaler_looks_at_a_number_that_workers_tell() -> None:
    (scaler,) = [
        document for document in documents(K8S["serve"]) if document["kind"] == "HorizontalPodAutoscaler"
    ]
    wanted = scaler["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert wanted in {metric.name for metric in PrometheusMeter().registry.collect()}


@pytest.mark.parametrize(("name", "pod"), list(pods()))
def test_a_pod_is_nobody_and_writes_nowhere_but_where_it_must(name: str, pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    user, held = pod["securityContext"], container["securityContext"]
    assert user["runAsNonRoot"] and user["runAsUser"] > 0
    assert held["readOnlyRootFilesystem"] and not held["allowPrivilegeEscalation"]
    assert held["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
    assert container["startupProbe"] and container["livenessProbe"] and container["readinessProbe"]
    assert container["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize("name", services())
def test_a_service_is_nobody_and_writes_nowhere_but_where_it_must(name: str) -> None:
    service = services()[name]
    assert int(service["user"].split(":")[0]) > 0
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("ports", ["127.0.0.1:"])[0].startswith("127.0.0.1:") or name == "livekit"


def test_a_worker_sees_no_key_of_the_page() -> None:
    assert "LIBA_SERVE_KEYS" in services()["serve"]["secrets"]
    assert "LIBA_SERVE_KEYS" not in services()["agent"]["secrets"]
    secrets = {name: pod["volumes"][-1]["secret"] for name, pod in pods() if name != "liba-redis"}
    keys = {name: {item["key"] for item in secret["items"]} for name, secret in secrets.items()}
    assert keys["liba-serve"] - keys["liba-agent"] == {"LIBA_SERVE_KEYS"}


def test_of_the_page_there_is_one_unless_its_servers_share_a_redis() -> None:
    def replicas(words: str) -> int:
        deployments = [found for found in documents(K8S[words]) if found["kind"] == "Deployment"]
        (page,) = [found for found in deployments if found["metadata"]["name"] == "liba-serve"]
        return int(page["spec"]["replicas"])

    assert replicas("serve") == 1
    assert replicas("serve,redis,openai,tavus,network-policy") == 2


def test_more_rooms_need_more_and_eight_of_them_fit_as_measured() -> None:
    assert sizes(1).memory_mb < sizes(8).memory_mb < sizes(8).memory_most_mb < sizes(32).memory_most_mb
    assert sizes(8).memory_mb >= 273 + 8 * 37
    assert sizes(8).memory_most_mb >= 273 + 8 * 80


def test_livekit_s_builder_finds_that_it_is_an_agent_and_its_project() -> None:
    assert re.search(r"^livekit-agents==\d", CLOUD["requirements.txt"], re.MULTILINE)
    assert 'subdomain = "my-project"' in CLOUD["livekit.toml"] and 'id = "CA_x"' in CLOUD["livekit.toml"]
    for copied in ("Dockerfile", "requirements.txt"):
        assert f"!{copied}" in CLOUD[".dockerignore"]
