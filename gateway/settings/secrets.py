"""Where a secret lies. The secret itself never stands in a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from gateway.credentials import CREDENTIAL, SecretUnusableError, locate
from gateway.errors import ConfigError, Problem

SETTINGS_FILE: Final = "gateway.yaml"


class Secret(str):
    """`credential:NAME` of the service's systemd unit, or the path of a file."""

    __slots__ = ()

    def path(self, environ: Mapping[str, str] | None = None) -> Path:
        """The file that holds it. ConfigError for a credential when systemd passed none."""
        try:
            return locate(self, environ)
        except SecretUnusableError as error:
            raise ConfigError([Problem(SETTINGS_FILE, 1, 1, "", str(error))]) from None

    def beside(self, directory: Path) -> Secret:
        """The same, a relative path counted from `directory`."""
        return self if self.startswith(CREDENTIAL) else Secret(directory / self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_secret, handler(str))

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "examples": ["credential:gateway.key", "/etc/gateway/gateway.key"]}


def _secret(text: str) -> Secret:
    name = text.removeprefix(CREDENTIAL)
    if not name or (text != name and "/" in name):
        raise ValueError("expected credential:NAME or the path of a file")
    return Secret(text)
