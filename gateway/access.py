"""How this gateway gets in where it has to, with the secrets and certificates that its settings name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from gateway import credentials
from gateway.certificates import Certificates
from gateway.credentials import SecretUnusableError
from gateway.errors import ConfigError, Problem
from gateway.mqtt_client import Endpoint
from gateway.settings import GatewaySettings
from gateway.settings.gateway import HttpFeed, Tls, Webhook
from gateway.settings.secrets import SETTINGS_FILE, Secret
from gateway.sinks.http import Partner
from gateway.sinks.signing import signing_keys
from gateway.sources.consent_http import Place

SHORTEST_TOKEN = 16


def endpoint_of(settings: GatewaySettings, name: str) -> Endpoint:
    """A broker of the settings with its secrets read. ConfigError names the file that cannot serve."""
    broker = settings.brokers[name]
    with _serving(f"brokers.{name}") as of:
        password = broker.password and password_of(broker.password)
        tls = _certificates(of, broker.tls) if broker.tls else None
    return Endpoint(
        name=name,
        host=broker.host,
        port=broker.port,
        username=broker.username,
        password=password,
        tls=tls,
        version=5 if broker.protocol == 5 else 3,
    )


def http_place_of(feed: HttpFeed) -> Place:
    """Where consents come from over HTTP. ConfigError for a secret or a certificate that cannot serve."""
    token = feed.token
    with _serving("consent.feed.http") as of:
        tls = _certificates(of, feed.tls or Tls())
        if token is not None:
            bearer_token(token)
    return Place(feed.url, feed.interval, tls, partial(bearer_token, token) if token else None)


def partner_of(recipient: str, webhook: Webhook) -> Partner:
    """Where a recipient's events are posted. ConfigError for a secret or a certificate that cannot serve."""
    read = partial(signing_keys_of, webhook.secret)
    with _serving(f"recipients.{recipient}.webhook") as of:
        tls = _certificates(of, webhook.tls or Tls())
        read()
    return Partner(recipient, webhook.url, tls, read)


def password_of(secret: Secret) -> str:
    """SecretUnusableError where it cannot be read, or is no text."""
    try:
        return credentials.read(secret).decode().strip()
    except UnicodeDecodeError:
        raise SecretUnusableError(f"{secret} is not UTF-8 text, as a password is") from None


def signing_keys_of(secret: Secret) -> list[bytes]:
    """SecretUnusableError where they cannot be read, or are none."""
    return signing_keys(credentials.read(secret), str(secret))


def bearer_token(secret: Secret) -> str:
    """SecretUnusableError where it cannot be read, or could not stand in a header."""
    token = credentials.read(secret).decode("ascii", "replace").strip()
    if not token.isprintable() or not token.isascii() or not token:
        raise SecretUnusableError(f"{secret} does not hold one line of ASCII, as a token does")
    return token


@contextlib.contextmanager
def _serving(key: str) -> Iterator[str]:
    """The key under which secrets and certificates are read; ConfigError names it where one cannot serve."""
    try:
        yield key
    except (OSError, SecretUnusableError) as error:  # ssl.SSLError is an OSError
        filename, words = getattr(error, "filename", None), getattr(error, "strerror", None) or error
        text = f"{key}: {filename}: {words}" if filename else f"{key}: {words}"
        raise ConfigError([Problem(SETTINGS_FILE, 1, 1, "", text)]) from None


def _certificates(of: str, tls: Tls) -> Certificates:
    return Certificates(of, ca=tls.ca, cert=tls.cert, key=tls.key)


def page_token(settings: GatewaySettings) -> str | None:
    """What opens the status page; None: the settings ask for none. ConfigError for one that cannot serve."""
    token = settings.page.token
    with _serving("page.token"):
        return token and unguessable_token(token)


def unguessable_token(secret: Secret) -> str:
    """SecretUnusableError where it cannot be read, could not stand in a header, or is short."""
    token = bearer_token(secret)
    if len(token) < SHORTEST_TOKEN:
        raise SecretUnusableError(
            f"{secret} is shorter than {SHORTEST_TOKEN} letters and can be guessed; "
            "`openssl rand -hex 24` makes a good one"
        )
    return token
