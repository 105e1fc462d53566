"""Everything an operator can set: one TOML file, `.env` and the environment, in that order of rising precedence.

The file is `$X0T_CONFIG`, else the first of `/etc/x0tta6bl4.toml` and `./x0tta6bl4.toml` that exists; none is
fine. A key of the environment is `X0T_GROUP__KEY`, e.g. `X0T_API__PORT=8001`. An unknown key is an error that
names the nearest known one. The groups are in `setting_groups`; docs/reference/settings.md is printed from them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from dotenv import dotenv_values
from pydantic import ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from x0tta6bl4.core.setting_groups import (
    AlertSettings,
    Api,
    ExplanationSettings,
    KnowledgeSettings,
    LogSettings,
    LoopSettings,
    MeshSettings,
    Monitoring,
    PluginSettings,
    ProbeSettings,
    Safety,
    StoreSettings,
)
from x0tta6bl4.core.settings_errors import malformed_variable, read_toml, rejected, unknown_groups
from x0tta6bl4.errors import ConfigError

PREFIX = "X0T_"
FILE_VARIABLE = "X0T_CONFIG"
RESERVED = (FILE_VARIABLE, PREFIX + "CONTEXT", PREFIX + "LAB_")  # beginnings; the last is the lab's
PLACES = (Path("/etc/x0tta6bl4.toml"), Path("x0tta6bl4.toml"))


class Settings(BaseSettings):
    """All groups. Build it with `load`, which turns every mistake into a ConfigError."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file_encoding="utf-8", extra="ignore", frozen=True
    )  # unknown groups are refused by `load`; `.env` may hold other programs' variables

    api: Api = Api()
    store: StoreSettings = StoreSettings()
    loop: LoopSettings = LoopSettings()
    probe: ProbeSettings = ProbeSettings()
    safety: Safety = Safety()
    alerts: AlertSettings = AlertSettings()
    explanation: ExplanationSettings = ExplanationSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    mesh: MeshSettings = MeshSettings()
    log: LogSettings = LogSettings()
    monitoring: Monitoring = Monitoring()
    plugins: PluginSettings = PluginSettings()

    @property
    def token_file(self) -> Path:
        """The token's file with its default filled in."""
        return Path(self.api.token_file).expanduser() if self.api.token_file else self.store.path / "token"

    @model_validator(mode="after")
    def _tick_is_shortest(self) -> Self:
        shortest = min(self.loop.agent_pass_s, self.loop.controller_pass_s, self.probe.hello_interval_s)
        if self.loop.tick_s > shortest:
            raise ConfigError("loop.tick_s", self.loop.tick_s, f"at most {shortest:g} (the shortest interval)")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources in falling precedence; pydantic-settings asks for them."""
        return (env_settings, dotenv_settings, init_settings)


def find_file(environ: Mapping[str, str | None]) -> Path | None:
    """The settings file in force; raises ConfigError where `$X0T_CONFIG` names none."""
    named = environ.get(FILE_VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(FILE_VARIABLE, named, "the path of a readable TOML file")
        return path
    return next((place for place in PLACES if place.is_file()), None)


def load(path: Path | None = None, *, dotenv: Path | None = Path(".env")) -> Settings:
    """Read and check everything.

    Args:
        path: the TOML file; None looks in the usual places.
        dotenv: the `.env` file; None reads none.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """
    variables = {**(dotenv_values(dotenv) if dotenv is not None else {}), **os.environ}
    found = path if path is not None else find_file(variables)
    document = read_toml(found) if found is not None else {}
    unknown_groups(document, variables, PREFIX, RESERVED, Settings)
    try:
        return Settings(_env_file=dotenv, **document)  # type: ignore[call-arg]
    except ValidationError as error:
        raise rejected(error, Settings) from None
    except SettingsError as error:
        raise ConfigError(*malformed_variable(error, PREFIX, variables)) from None
