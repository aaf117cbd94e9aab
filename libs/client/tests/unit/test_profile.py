"""Where the services are: from variables and from a file, with words for what is wrong."""

from pathlib import Path

import pytest

from wevion_tokens import ProfileError, TokensClient, TokensProfile

VARIABLES = {
    "WEVION_OAUTH_URL": "http://oauth.example",
    "WEVION_TOKEN_URL": "http://session.example/oauth2/token",
    "WEVION_SERVICE_CLIENT_ID": "sync",
    "WEVION_SERVICE_CLIENT_SECRET": "a-secret-that-is-not-shown",
    "WEVION_KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092",
    "WEVION_DATABASE_URL": "postgresql://somebody:else@db.example/x",
    "HOME": "/root",
}


def test_the_environment_names_things_as_the_services_do() -> None:
    profile = TokensProfile.from_environment(VARIABLES)
    assert (profile.oauth_url, profile.service_client_id) == ("http://oauth.example", "sync")
    assert profile.kafka().bootstrap_servers == "kafka.example:9092"
    assert "a-secret-that-is-not-shown" not in repr(profile) + str(profile)


def test_a_file_has_a_table_for_each_environment(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-a-file\n")
    path = tmp_path / "profiles.toml"
    path.write_text(f'[local]\noauth_url = "http://a"\nservice_client_secret_file = "{tmp_path}/secret"\n')
    assert TokensProfile.from_file(path, "local").service_client_secret.get_secret_value() == "from-a-file"
    with pytest.raises(ProfileError, match="no profile production; there are local"):
        TokensProfile.from_file(path, "production")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[local]\noauth = "http://a"', "profile local: oauth: Extra inputs"),
        ('[local]\nkafka_security_protocol = "secret-word"', "kafka_security_protocol: Input should be"),
        ('[local]\nservice_client_secret_file = "/nowhere/at-all"', "cannot be read"),
        ("[local", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named_without_its_value(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "profiles.toml"
    path.write_text(text)
    with pytest.raises(ProfileError, match=words) as refused:
        TokensProfile.from_file(path, "local")
    assert "secret-word" not in str(refused.value)


def test_a_client_says_what_it_misses() -> None:
    kept = {name: value for name, value in VARIABLES.items() if name != "WEVION_OAUTH_URL"}
    with pytest.raises(ProfileError, match=r"oauth_url is not set \(WEVION_OAUTH_URL\)"):
        TokensClient(TokensProfile.from_environment(kept))
