"""Where a secret lies. The secret itself never stands in a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from gateway.errors import ConfigError, Problem

CREDENTIAL: Final = "credential:"


class Secret(str):
    """`credential:NAME` of the service's systemd unit, or the path of a file."""

    __slots__ = ()

    def path(self, environ: Mapping[str, str]) -> Path:
        """The file that holds it. ConfigError for a credential when `environ` names no directory of them."""
        if not self.startswith(CREDENTIAL):
            return Path(self)
        directory = environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            name = self.removeprefix(CREDENTIAL)
            text = f"{self}: systemd passed no credentials; the unit needs LoadCredential={name}"
            raise ConfigError([Problem("gateway.yaml", 1, 1, "", text)])
        return Path(directory, self.removeprefix(CREDENTIAL))

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
