"""The manifests for Kubernetes are valid for its API, and say what the services and the recipe of their image need."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from common.service.settings import ServiceSettings
from expiry_watcher.settings import WatcherSettings
from gateway.settings import GatewaySettings
from notifier.settings import NotifierSettings
from oauth_svc.settings import OauthSettings
from rule_pauser.settings import PauserSettings
from session_svc.settings import SessionSettings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
SETTINGS: dict[str, type[ServiceSettings]] = {
    "session-svc": SessionSettings,
    "oauth-svc": OauthSettings,
    "expiry-watcher": WatcherSettings,
    "rule-pauser": PauserSettings,
    "notifier": NotifierSettings,
    "gateway": GatewaySettings,
}
MOUNT = "/run/secrets/wevion"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


EVERYTHING = [each for name in KUSTOMIZATION["resources"] for each in documents(name)]
SECRETS = {each["metadata"]["name"]: each["stringData"] for each in documents("secrets.example.yaml")}
SHARED: dict[str, str] = documents("settings.yaml")[0]["data"]


def found(kind: str, name: str) -> dict[str, Any]:
    return next(each for each in EVERYTHING if each["kind"] == kind and each["metadata"]["name"] == name)


def pod(service: str) -> dict[str, Any]:
    spec: dict[str, Any] = found("Deployment", service)["spec"]["template"]["spec"]
    return spec


def known_settings(service: str) -> set[str]:
    return {f"WEVION_{name.upper()}" for name in SETTINGS[service].model_fields} | {"WEVION_SECRETS_DIR"}


@pytest.mark.parametrize(
    "manifest",
    [*EVERYTHING, *documents("secrets.example.yaml")],
    ids=lambda each: f"{each['kind']}-{each['metadata']['name']}",
)
def test_kubernetes_would_take_it(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_a_manifest_with_a_mistake_is_noticed() -> None:
    wrong = found("Service", "gateway") | {"spec": {"port": 80}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_every_file_is_part_of_it() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "secrets.example.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files


@pytest.mark.parametrize("service", SETTINGS)
def test_it_runs_the_program_on_its_port_and_asks_how_it_is(service: str) -> None:
    (container,) = pod(service)["containers"]
    port = SETTINGS[service].model_fields["http_port"].default
    assert (container["image"].split("/")[-1].split(":")[0], container["args"]) == (service, ["run"])
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    operators = {"operators": GatewaySettings.model_fields["operators_port"].default} if service == "gateway" else {}
    assert ports == {"http": port} | operators
    asked = "operators" if operators else "http"
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": asked}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": asked}
    annotations = found("Deployment", service)["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": str(ports[asked])}
    assert found("Service", service)["spec"]["ports"][0]["port"] == port


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_exists(service: str) -> None:
    (container,) = pod(service)["containers"]
    own = {each["name"] for each in container["env"]}
    secret = {name for name in SECRETS.get(service, {}) if name.startswith("WEVION_")}
    assert own | secret <= known_settings(service)
    files = {each["value"] for each in container["env"] if each["name"].endswith("_FILE")}
    assert files == {f"{MOUNT}/{name}" for name in SECRETS.get(service, {}) if not name.startswith("WEVION_")}


def test_every_shared_setting_is_somebodys() -> None:
    assert set(SHARED) <= set().union(*(known_settings(service) for service in SETTINGS))


@pytest.mark.parametrize("service", SETTINGS)
def test_what_has_no_default_is_given(service: str) -> None:
    (container,) = pod(service)["containers"]
    given = {*SHARED, *SECRETS.get(service, {}), *(each["name"] for each in container["env"])}
    needed = {f"WEVION_{name.upper()}" for name, field in SETTINGS[service].model_fields.items() if field.is_required()}
    assert needed <= given


@pytest.mark.parametrize("service", SETTINGS)
def test_it_runs_confined_and_has_time_to_end(service: str) -> None:
    spec = pod(service)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not [
            each
            for each in container.get("env", [])
            if "SECRET" in each["name"] and each["name"] != "WEVION_SECRETS_DIR"
        ]
    before = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    fields = ServiceSettings.model_fields
    needed = before + fields["lame_duck_s"].default + fields["drain_s"].default
    assert spec["terminationGracePeriodSeconds"] > needed


@pytest.mark.parametrize("service", [name for name in SETTINGS if name != "gateway"])
def test_it_migrates_before_it_runs(service: str) -> None:
    (migrate,) = pod(service)["initContainers"]
    assert migrate["args"] == ["migrate"]
    assert migrate["image"] == pod(service)["containers"][0]["image"]


def test_no_secret_is_filled_in() -> None:
    for service, values in SECRETS.items():
        for name, value in values.items():
            if name.endswith(("SECRET", "TOKEN", "URL")):
                assert "…" in value, f"{service}: {name}"


STATEFUL = [name for name in SETTINGS if name != "gateway"]
MAX_CONNECTIONS = 100  # PostgreSQL's default
RESERVED = 3  # for its superuser


def most_pods(service: str) -> int:
    """How many pods of a service there can be at once: a rolling update adds one."""
    scaled = [
        each["spec"]["maxReplicas"]
        for each in EVERYTHING
        if each["kind"] == "HorizontalPodAutoscaler" and each["spec"]["scaleTargetRef"]["name"] == service
    ]
    deployment = found("Deployment", service)["spec"]
    assert len(scaled) + ("replicas" in deployment) == 1, "either the autoscaler or the manifest says how many"
    most: int = scaled[0] if scaled else deployment["replicas"]
    return most + int(deployment["strategy"]["rollingUpdate"]["maxSurge"])


def test_all_pods_together_fit_into_the_database() -> None:
    pool = int(SHARED["WEVION_DATABASE_POOL_SIZE"])
    assert sum(most_pods(service) for service in STATEFUL) * pool <= MAX_CONNECTIONS - RESERVED


def policies(kind: str) -> dict[str, dict[str, Any]]:
    return {
        each["metadata"]["name"]: each["spec"]
        for each in EVERYTHING
        if each["kind"] == "NetworkPolicy" and kind in each["spec"]["policyTypes"]
    }


def selects(spec: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a policy is about pods with these labels."""
    selector = spec["podSelector"]
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ()))


def sources(service: str, port: str) -> list[dict[str, Any]]:
    labels = found("Deployment", service)["spec"]["template"]["metadata"]["labels"]
    return [
        source
        for spec in policies("Ingress").values()
        if selects(spec, labels)
        for rule in spec.get("ingress", ())
        if {"port": port} in rule["ports"]
        for source in rule["from"]
    ]


def namespaces(service: str, port: str) -> set[str]:
    found_ = [source.get("namespaceSelector", {}).get("matchLabels", {}) for source in sources(service, port)]
    return {name for labels in found_ for name in labels}


def test_nothing_goes_in_or_out_that_is_not_written_down() -> None:
    deny = found("NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_prometheus_reaches_every_pod_and_the_internet_only_the_gateway() -> None:
    assert namespaces("gateway", "http") == {"wevion.example/ingress"}
    assert namespaces("gateway", "operators") == {"wevion.example/scrapes"}
    for service in STATEFUL:
        assert namespaces(service, "http") == {"wevion.example/scrapes", "wevion.example/calls-tokens"}
        assert {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "wevion-tokens"}}} in sources(
            service, "http"
        )


@pytest.mark.parametrize("service", SETTINGS)
def test_only_who_must_calls_the_outside(service: str) -> None:
    labels = found("Deployment", service)["spec"]["template"]["metadata"]["labels"]
    reach = {name for name, spec in policies("Egress").items() if selects(spec, labels)}
    expected = {"default-deny", "names", "inside"}
    expected |= {"databases"} if service in STATEFUL else set()
    expected |= {"outside"} if service in {"oauth-svc", "notifier"} else set()
    expected |= {"mail"} if service == "notifier" else set()
    assert reach == expected
