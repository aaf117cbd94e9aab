"""What is shipped for SREs is true: alerts fire, every metric exists, every alert has its runbook, compose is valid."""

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.contracts import TOPICS
from common.service import ServiceSettings
from common.telemetry import metrics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
STATEFUL = ("session-svc", "oauth-svc", "expiry-watcher", "rule-pauser", "notifier")
SERVICES = (*STATEFUL, "gateway")
#: Each consumer makes these for its group and topics (libs/common/tests/integration/test_outbox.py).
BORN_BY_CONSUMERS = {("wevion_kafka_dead_letters_total", "")}
NOT_OURS = {"up", "process_resident_memory_bytes"}
_SUFFIX = re.compile(r"_(bucket|count|sum)$")


def declared() -> set[str]:
    """Every metric that some service can show."""
    for path in ROOT.glob("*/*/src/**/metrics.py"):
        module = path.relative_to(next(parent for parent in path.parents if parent.name == "src"))
        importlib.import_module(".".join(module.with_suffix("").parts))
    return set(metrics.names())


def metric_names(expression: str) -> set[str]:
    without_labels = re.sub(r"\{[^}]*\}", "", re.sub(r"\b(by|without) \([^)]*\)", "", expression))
    found = set(re.findall(r"\b([a-z]+_[a-z0-9_]+|up)\b(?!\s*\()", without_labels))
    return {_SUFFIX.sub("", name) for name in found} - {"histogram_quantile", "increase", "rate"}


def tool(name: str) -> str:
    """Where a program is; a machine without it skips the test, CI does not."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not on this machine, and CI has to have it (.ci/run installs it)")
    if found is None:
        pytest.skip(f"{name} is not on this machine; CI runs this test")
    return found


@pytest.mark.parametrize("arguments", [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]])
def test_the_alerts_are_valid_and_fire_when_they_should(arguments: list[str]) -> None:
    run = subprocess.run([tool("promtool"), *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_alert_is_shown_firing() -> None:
    cases = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    shown = {check["alertname"] for case in cases for check in case["alert_rule_test"] if check["exp_alerts"]}
    assert shown == {rule["alert"] for rule in RULES}


def test_what_alerts_count_exists_at_zero_before_it_happens() -> None:
    """The increase of a series that is born with its first event is nothing, so such an alert would never fire."""
    declared()
    importlib.import_module("oauth_svc.metrics").begin(["meta"])
    counted: set[tuple[str, str]] = set()
    for rule in RULES:
        counted |= set(re.findall(r"(?:increase|rate)\((wevion_\w+_total)(\{[^}]*\})?", rule["expr"]))
    assert counted
    page = metrics.render()[0].decode()
    for name, labels in counted - BORN_BY_CONSUMERS:
        wanted = [label.strip() for label in labels.strip("{}").split(",") if label]
        series = [line for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        assert any(all(label in line for label in wanted) for line in series), f"{name}{labels}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_alert_has_a_runbook_with_the_four_parts(rule: dict[str, Any]) -> None:
    page = ROOT / rule["annotations"]["runbook_url"]
    assert page.stem == rule["alert"]
    for part in ("**Symptom.**", "**Check**", "**Act**", "**Over when.**"):
        assert part in page.read_text()


def test_every_runbook_has_its_alert() -> None:
    assert {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} == {rule["alert"] for rule in RULES}


def constants(source: str) -> list[str]:
    """The names under which a metrics.py keeps what somebody else has to move; `read=` ones look by themselves."""
    return [
        ast.unparse(statement.targets[0])
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign)
        and isinstance(call := statement.value, ast.Call)
        and re.fullmatch(r"(metrics\.)?(counter|gauge|histogram)", ast.unparse(call.func))
        and all(keyword.arg != "read" for keyword in call.keywords)
    ]


def test_every_metric_is_moved_somewhere() -> None:
    """One that is declared and never set looks well for ever."""
    sources = {path: path.read_text() for part in ("libs", "services") for path in ROOT.glob(f"{part}/*/src/**/*.py")}
    everything = "".join(sources.values())
    declaring = {path: constants(text) for path, text in sources.items() if path.name == "metrics.py"}
    assert all(declaring[path] for path in declaring if path.parent.name != "telemetry")
    for path, names in declaring.items():
        for name in names:
            assert len(re.findall(rf"\b{name}\b", everything)) > 1, f"{path.relative_to(ROOT)}: {name}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_metric_of_an_alert_exists(rule: dict[str, Any]) -> None:
    used = metric_names(rule["expr"])
    assert used
    assert used <= declared() | NOT_OURS


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.stem))
def test_every_metric_of_a_dashboard_exists(path: Path) -> None:
    expressions = [target["expr"] for panel in json.loads(path.read_text())["panels"] for target in panel["targets"]]
    used = {name for expression in expressions for name in metric_names(expression)}
    assert used
    assert used <= declared() | NOT_OURS


def test_compose_is_valid(tmp_path: Path) -> None:
    example = (ROOT / "deploy" / "compose.env.example").read_text()
    filled = re.sub(r"^([A-Z_]+)=$", r"\1=example", example, flags=re.MULTILINE)
    (tmp_path / "example.env").write_text(filled)
    command = [
        tool("docker-compose"),
        "-f",
        str(ROOT / "docker-compose.yml"),
        "--env-file",
        str(tmp_path / "example.env"),
    ]
    run = subprocess.run([*command, "config", "--quiet"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


def test_compose_names_every_secret_that_it_needs() -> None:
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^([A-Z_]+)=", (ROOT / "deploy" / "compose.env.example").read_text(), re.MULTILINE))
    assert needed <= offered


@pytest.mark.parametrize("service", SERVICES)
def test_compose_runs_each_service_from_the_one_recipe(service: str) -> None:
    build = COMPOSE["services"][service]["build"]
    assert build["dockerfile"] == "deploy/docker/service.Dockerfile"
    assert build["args"]["SERVICE"] == service


@pytest.mark.parametrize("service", STATEFUL)
def test_compose_migrates_each_database(service: str) -> None:
    assert COMPOSE["services"][f"{service}-migrate"]["command"] == ["migrate"]
    database = f"CREATE DATABASE {service.replace('-', '_')};"
    assert database in (ROOT / "deploy" / "docker" / "databases.sql").read_text()


def test_prometheus_scrapes_every_service() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
    assert {target.split(":")[0] for target in targets} == set(SERVICES)


def test_prometheus_in_a_cluster_gives_the_labels_that_the_rules_use(tmp_path: Path) -> None:
    config = yaml.safe_load((PROMETHEUS / "kubernetes.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "wevion"
    targets = {rule.get("target_label") for rule in job["relabel_configs"]}
    assert {"service", "instance", "__address__"} <= targets
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]  # Debian's promtool is built without it
    config["rule_files"] = [str(PROMETHEUS / "alerts.yml")]
    (tmp_path / "kubernetes.yml").write_text(yaml.safe_dump(config))
    run = subprocess.run(
        [tool("promtool"), "check", "config", "kubernetes.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_kafka_of_compose_creates_nothing_by_itself() -> None:
    environment = COMPOSE["services"]["kafka"]["environment"]
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert COMPOSE["services"]["topics"]["entrypoint"] == ["common", "topics"]
    assert TOPICS


OTHERS = re.compile(r"http://127\.0\.0\.1:808[1-5]")
"""A default that finds another service only where all of them share one machine."""


@pytest.mark.parametrize("service", SERVICES)
def test_compose_says_where_every_other_service_is(service: str) -> None:
    package = service.replace("-", "_")
    settings = [
        found
        for found in vars(importlib.import_module(f"{package}.settings")).values()
        if isinstance(found, type) and issubclass(found, ServiceSettings) and found.__module__ == f"{package}.settings"
    ]
    for cls in settings:
        for name, field in cls.model_fields.items():
            if isinstance(field.default, str) and OTHERS.match(field.default):
                assert f"WEVION_{name.upper()}" in COMPOSE["services"][service]["environment"], f"{service}: {name}"
