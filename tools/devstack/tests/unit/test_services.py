"""What people may write after `make run`, and what the services are told."""

import tomllib
from pathlib import Path

import pytest

from devstack import ports, services
from devstack.platforms import providers_toml
from devstack.profiles import profiles_toml
from devstack.services import SERVICES, Addresses, left_out, names, process, replica_names, replicas
from devstack.vault import Vault
from wevion_tokens import TokensProfile

PORTS = ports.Ports(dict(ports.DEFAULTS) | {"oauth-svc#2": 8600})


def test_replicas_are_read() -> None:
    assert replicas("oauth-svc=3, notifier=2") == {"oauth-svc": 3, "notifier": 2}
    assert replicas("") == {}
    assert replica_names("oauth-svc", {"oauth-svc": 3}) == ["oauth-svc", "oauth-svc#2", "oauth-svc#3"]
    assert replica_names("notifier", {"oauth-svc": 3}) == ["notifier"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("oauth=3", "no service is called oauth; there are session-svc, oauth-svc"),
        ("oauth-svc", "write a number from 1 to 9"),
        ("oauth-svc=0", "write a number from 1 to 9"),
        ("oauth-svc=many", "write a number from 1 to 9"),
        ("oauth-svc=10", "write a number from 1 to 9"),
        ("kafka=3", "no service is called kafka"),
    ],
)
def test_wrong_replicas_are_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replicas(text)


def test_services_can_be_left_out_and_misspelt_ones_are_named() -> None:
    assert names("notifier,rule-pauser") == {"notifier", "rule-pauser"}
    with pytest.raises(ValueError, match="no service is called notifer"):
        names("notifer")


def test_the_gateway_knows_every_replica_and_has_no_database(tmp_path: Path) -> None:
    addresses = Addresses(PORTS, {"oauth-svc": 2}, {"oauth-svc": "postgresql://o:p@127.0.0.1:1/o"})
    gateway = process(
        "gateway", addresses, Vault(tmp_path), port=8080, operators_port=8086, providers_file=tmp_path / "p.toml"
    )
    assert Path(gateway.argv[0]).name == "gateway"
    assert gateway.env["WEVION_OAUTH_URL"] == "http://127.0.0.1:8082,http://127.0.0.1:8600"
    assert list(Path(gateway.env["WEVION_SECRETS_DIR"]).glob("*")) == []


def test_secrets_go_by_files_that_only_their_owner_may_read(tmp_path: Path) -> None:
    addresses = Addresses(PORTS, {}, {"notifier": "postgresql://notifier:hunter2@127.0.0.1:1/notifier"})
    made = process("notifier", addresses, Vault(tmp_path), port=1, providers_file=tmp_path / "p.toml")
    assert "hunter2" not in "".join(made.env.values())
    secret = Path(made.env["WEVION_SECRETS_DIR"]) / "wevion_database_url"
    assert "hunter2" in secret.read_text()
    assert secret.stat().st_mode & 0o777 == 0o600


def test_a_persons_own_settings_do_not_reach_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEVION_DATABASE_URL", "postgresql://production/")
    made = process("notifier", Addresses(PORTS), Vault(tmp_path), port=1, providers_file=tmp_path / "p.toml")
    assert "WEVION_DATABASE_URL" not in made.env


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    first = Vault(tmp_path).secret("client-x")
    assert first == Vault(tmp_path).secret("client-x")
    assert len(first) >= 32
    assert tmp_path.stat().st_mode & 0o077 == 0


def test_every_service_is_known_by_its_database_or_needs_none() -> None:
    assert set(services.DATABASES) == set(services.SERVICES) - {"gateway"}


def test_services_call_by_way_of_a_proxy_where_there_is_one_and_browsers_do_not(tmp_path: Path) -> None:
    addresses = Addresses(PORTS, wires={"kafka": 7001, "simulator": 7002})
    made = process("notifier", addresses, Vault(tmp_path), port=1, providers_file=tmp_path / "p.toml")
    assert made.env["WEVION_KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:7001"
    assert made.env["WEVION_TELEGRAM_API_URL"] == "http://127.0.0.1:7002/api.telegram.org"
    apps = {"rfc6749": {"client_id": "a", "client_secret": "b"}}
    told = tomllib.loads(
        providers_toml(
            addresses.platforms_url, addresses.url("simulator"), apps, {"meta": {"timeout_s": 3}, "acme": {"burst": 2}}
        )
    )
    assert told["via"] == "http://127.0.0.1:7002"
    assert told["browser_via"] == "http://127.0.0.1:9100"
    assert told["providers"]["meta"]["timeout_s"] == 3
    assert told["providers"]["acme"]["burst"] == 2
    assert told["providers"]["acme"]["token_url"].startswith("http://127.0.0.1:7002/")
    assert told["providers"]["acme"]["authorize_url"].startswith("http://127.0.0.1:9100/")


def test_further_settings_add_and_win(tmp_path: Path) -> None:
    further = {"LOG_FORMAT": "console", "POLL_S": "0.2"}
    made = process(
        "oauth-svc", Addresses(PORTS), Vault(tmp_path), port=1, providers_file=tmp_path / "p.toml", further=further
    )
    assert made.env["WEVION_LOG_FORMAT"] == "console"
    assert made.env["WEVION_POLL_S"] == "0.2"


def test_only_some_services_means_without_the_others() -> None:
    assert left_out("", "oauth-svc,session-svc") == frozenset(SERVICES) - {"oauth-svc", "session-svc"}
    assert left_out("notifier", "") == {"notifier"}
    assert left_out("", "") == frozenset()
    with pytest.raises(ValueError, match="no service is called nothing"):
        left_out("", "nothing")


def test_the_profile_is_what_a_backend_service_reads(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "secrets")
    secret = vault.secret("client-demo-backend")
    (tmp_path / "profiles.toml").write_text(profiles_toml(Addresses(PORTS), vault))
    profile = TokensProfile.from_file(tmp_path / "profiles.toml", "local")
    assert profile.oauth_url == f"http://127.0.0.1:{PORTS['oauth-svc']}"
    assert profile.service_client_secret.get_secret_value() == secret
    assert secret not in (tmp_path / "profiles.toml").read_text()
