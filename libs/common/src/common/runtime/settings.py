"""Settings: read once at start, from `WEVION_*` variables and from files in `WEVION_SECRETS_DIR`."""

import os
import sys
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

PREFIX = "WEVION_"
SECRETS_DIR_VARIABLE = PREFIX + "SECRETS_DIR"
EXIT_BAD_SETTINGS = 2


class Settings(BaseSettings):
    """The base of each service's settings. Every field has a description; it is what `<service> settings` prints."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  no .env files: one source fewer to wonder about
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  replaced below, its folder comes from a variable
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Files in the secrets folder are named like the variables, in lower case: `wevion_database_url`.

        Args:
            settings_cls: the settings that are read.
            init_settings: arguments of the constructor.
            env_settings: environment variables.
            dotenv_settings: a `.env` file.
            file_secret_settings: files of the secrets folder.

        """
        folder = os.environ.get(SECRETS_DIR_VARIABLE)  # noqa: TID251  this is the one settings reader
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if folder and Path(folder).is_dir():
            sources.append(SecretsSettingsSource(settings_cls, secrets_dir=folder))
        return tuple(sources)


S = TypeVar("S", bound=Settings)


def load(cls: type[S], **overrides: Any) -> S:
    """Read the settings, or leave the process with exit status 2 and one line for each wrong one."""
    try:
        return cls(**overrides)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = PREFIX + "_".join(str(part) for part in problem["loc"]).upper()
            rule = "is not set, and it has no default" if problem["type"] == "missing" else problem["msg"]
            print(f"setting {name}: {rule}" if problem["loc"] else f"settings: {rule}", file=sys.stderr)  # noqa: T201
        raise SystemExit(EXIT_BAD_SETTINGS) from None


def describe(settings: Settings) -> str:
    """Return every setting with its value (secrets redacted) and its meaning, as a table for a terminal."""
    rows = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        shown = _redacted(name, value)
        rows.append((PREFIX + name.upper(), shown, field.description or ""))
    width = max(len(row[0]) for row in rows)
    value_width = min(max(len(row[1]) for row in rows), 48)
    return "\n".join(f"{name:<{width}}  {shown:<{value_width}}  {meaning}" for name, shown, meaning in rows)


def _redacted(name: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, SecretStr):
        return "(secret, set)"
    text = str(value)
    if name.endswith("_url") and "@" in text:
        scheme, _, rest = text.partition("://")
        return f"{scheme}://***@{rest.rpartition('@')[2]}"
    return text
