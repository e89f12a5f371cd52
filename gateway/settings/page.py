"""The status page's section of gateway.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, model_validator

from gateway.links import LOOPBACK
from gateway.settings.secrets import Secret
from gateway.settings.sections import LegalBasis, Section, Term, Words

OFF = "off"


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 1 <= int(port) <= 65535
    if text != OFF and not (colon and host and is_port and (":" not in host or host.startswith("["))):
        raise ValueError("expected an address and a port such as 127.0.0.1:8780 or [::1]:8780, or off")
    return text


class Shows(Section):
    """Whom the page may count and name in a journey: subjects who consent to this, for `operator`."""

    purpose: Term
    """What the consent to being shown names."""
    legal_basis: LegalBasis
    """Such as `eu-gdpr:A6-1-a`."""


class Page(Section):
    """The status page, metrics and health over HTTP."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8780"
    """Address and port, or `off`."""
    token: Secret | None = None
    """File of the password; None: only on loopback, and without journeys."""
    hosts: tuple[Words, ...] = ()
    """Names under which a reverse proxy offers it."""
    shows: Shows | None = None
    """None: nobody is counted or shown."""

    @model_validator(mode="after")
    def _token_outside_of_loopback(self) -> Page:
        if self.token is None and self.address is not None and self.address[0] not in LOOPBACK:
            raise ValueError("beyond this machine it needs a token, or listens on 127.0.0.1 behind a proxy")
        return self

    @property
    def address(self) -> tuple[str, int] | None:
        """None: there is no page."""
        if self.listen == OFF:
            return None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)
