"""Whether the secrets and certificates that gateway.yaml names can serve: what else only a start would find.

What is in them is never shown, only where they lie and what would help.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path as File
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.access import bearer_token, password_of, signing_keys_of, unguessable_token
from gateway.certificates import Certificates
from gateway.consent import Keys
from gateway.credentials import (
    CREDENTIAL,
    NotOursError,
    NotThereError,
    SecretUnusableError,
    guarded,
    read,
)
from gateway.errors import ConfigError, GatewayError, Problem
from gateway.review.places import Path, warning
from gateway.settings import GatewaySettings, OwnLook
from gateway.settings.gateway import Tls
from gateway.settings.remains import Remains
from gateway.settings.secrets import Secret

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SOON = timedelta(days=14)
"""A certificate that ends within so long is told."""

_Rest = Remains[GatewaySettings]


class Secrets(Struct):
    problems: list[Problem] = []
    """They keep a gateway from starting, wherever it is."""
    missing: list[Problem] = []
    """They keep one from starting here: a configuration may be made on another machine."""
    warnings: list[Problem] = []
    unseen: list[str] = []
    """Secrets that only the service can look at: systemd passes them, or they belong to its user."""


def secrets(own: OwnLook, now: datetime) -> Secrets:
    """Of settings that are right; `now` with its zone, for the ends of certificates."""
    found = Secrets()
    if own.settings is None or own.rest is None:
        return found
    for path, secret, use in _secrets(own.settings):
        _try(own.rest, path, secret, use, found)
    for path, tls in _tls(own.settings):
        _certificates(own.rest, path, tls, now, found)
    return found


def require(own: OwnLook) -> None:
    """For a start. ConfigError with the place of every secret that cannot serve. Certificates are read
    for their words only where TLS refuses them: what reads them takes memory that a daemon would keep."""
    found = Secrets()
    if own.settings is None or own.rest is None:
        return
    for path, secret, use in _secrets(own.settings):
        _try(own.rest, path, secret, use, found)
    for path, tls in _tls(own.settings):
        if _refusal(tls):
            _certificates(own.rest, path, tls, datetime.now(UTC), found)
    if found.problems or found.missing:
        raise ConfigError([*found.problems, *found.missing])


def _try(rest: _Rest, path: Path, secret: Secret, use: Callable[[Secret], object], found: Secrets) -> bool:
    if secret.startswith(CREDENTIAL) and "CREDENTIALS_DIRECTORY" not in os.environ:
        found.unseen.append(str(secret))
        return False
    try:
        use(secret)
    except NotOursError:
        found.unseen.append(str(secret))
    except GatewayError as error:
        if isinstance(error, NotThereError) and not secret.startswith(CREDENTIAL):
            found.missing.append(rest.problem(path, _not_here(secret)))
        else:
            found.problems.append(rest.problem(path, str(error)))
    else:
        return True
    return False


def _secrets(settings: GatewaySettings) -> Iterator[tuple[Path, Secret, Callable[[Secret], object]]]:
    """Each secret, the place that names it, and how a start reads it."""
    if (keys := settings.gateway.keys) is not None:
        yield ("gateway", "keys"), keys, lambda secret: Keys(read(secret))
    if (identity_keys := settings.identity_keys) is not None:
        yield ("identity_keys",), identity_keys, guarded  # what is in it has places of its own
    if (token := settings.page.token) is not None:
        yield ("page", "token"), token, unguessable_token
    for name, broker in settings.brokers.items():
        if broker.password is not None:
            yield ("brokers", name, "password"), broker.password, password_of
    for name, recipient in settings.recipients.items():
        if recipient.webhook is not None:
            yield ("recipients", name, "webhook", "secret"), recipient.webhook.secret, signing_keys_of
    feed = settings.consent.feed.http if settings.consent is not None else None
    if feed is not None and feed.token is not None:
        yield ("consent", "feed", "http", "token"), feed.token, bearer_token


# --- certificates ---


def _tls(settings: GatewaySettings) -> Iterator[tuple[Path, Tls]]:
    for name, broker in settings.brokers.items():
        if broker.tls is not None:
            yield ("brokers", name, "tls"), broker.tls
    for name, recipient in settings.recipients.items():
        if recipient.webhook is not None and recipient.webhook.tls is not None:
            yield ("recipients", name, "webhook", "tls"), recipient.webhook.tls
    feed = settings.consent.feed.http if settings.consent is not None else None
    if feed is not None and feed.tls is not None:
        yield ("consent", "feed", "http", "tls"), feed.tls


def _certificates(rest: _Rest, path: Path, tls: Tls, now: datetime, found: Secrets) -> None:
    read_ones: dict[str, Certificate] = {}
    for key, file in (("ca", tls.ca), ("cert", tls.cert)):
        if file is None:
            continue
        try:
            read_ones[key] = _certificate(file)
        except PermissionError:
            found.unseen.append(str(file))
        except FileNotFoundError:
            found.missing.append(rest.problem((*path, key), _not_here(file)))
        except OSError as error:
            found.problems.append(rest.problem((*path, key), f"cannot read {file}: {error.strerror}"))
        except ValueError:
            text = f"{file} holds no certificate; one in PEM begins with -----BEGIN CERTIFICATE-----"
            found.problems.append(rest.problem((*path, key), text))
    for key, certificate in read_ones.items():
        if text := _out_of_time(certificate, now):
            found.warnings.append(warning(rest, (*path, key), text))
    if tls.key is not None:
        own = read_ones.get("cert")
        _try(rest, (*path, "key"), tls.key, lambda secret: _goes_with(secret, own), found)
    at = rest.problem(path, "").key + "."
    is_told = found.unseen or any(p.key.startswith(at) for p in (*found.problems, *found.missing))
    if not is_told and (text := _refusal(tls)):
        found.problems.append(rest.problem(path, text))


def _not_here(file: str | File) -> str:
    return f"{File(file).name} is not here; without it the gateway does not start"


def _refusal(tls: Tls) -> str:
    """What TLS itself says of them; empty: it takes them."""
    try:
        Certificates("", ca=tls.ca, cert=tls.cert, key=tls.key)
    except (OSError, GatewayError) as error:  # ssl.SSLError is an OSError
        return f"these certificates cannot be used: {error}"
    return ""


def _certificate(file: File) -> Certificate:
    """The first of a file. OSError, ValueError: there is none."""
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - loaded where there is TLS

    return load_pem_x509_certificates(file.read_bytes())[0]


def _out_of_time(certificate: Certificate, now: datetime) -> str:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begins:
        return f"this certificate begins on {begins:%Y-%m-%d}, and no connection is made before"
    if now >= ends:
        return f"this certificate ended on {ends:%Y-%m-%d}, and no connection is made; renew it"
    if now + SOON >= ends:
        return f"this certificate ends on {ends:%Y-%m-%d}; renew it before"
    return ""


def _goes_with(secret: Secret, certificate: Certificate | None) -> None:
    """SecretUnusableError where it is no private key, or that of another certificate."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    content = read(secret)
    try:
        key: Any = load_pem_private_key(content, None)
    except TypeError:
        text = f"{secret} is locked with a passphrase, which nobody types when a service starts"
        raise SecretUnusableError(f"{text}; `openssl pkey -in OLD -out NEW` takes it off") from None
    except (ValueError, UnsupportedAlgorithm):
        text = f"{secret} holds no private key; one in PEM begins with -----BEGIN PRIVATE KEY-----"
        raise SecretUnusableError(text) from None
    if certificate is not None and key.public_key() != certificate.public_key():
        raise SecretUnusableError(f"{secret} is not the key of the certificate in `cert`")
