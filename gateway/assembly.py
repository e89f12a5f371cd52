"""From a directory of configuration to the objects that run: where all rooms are put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway import profiles as firmware
from gateway.consent import (
    ConsentScreen,
    Keys,
    Policy,
    Purpose,
    Recipient,
    Register,
    Tally,
    load_consent_file,
    load_deny_list,
    load_keys,
)
from gateway.consent.policy import Counting, Showing
from gateway.consent.rounding import AS_MEASURED, WHOLE_MINUTES, Rounding
from gateway.consent.signature import load_signers
from gateway.core import Core, Holding
from gateway.counts import Counts
from gateway.errors import ConfigError, Problem
from gateway.identity import NO_KEYS, Enrolment, Identification
from gateway.model import PLATFORM, SiteMap
from gateway.outbox import Class, Limits, Outbox
from gateway.pipeline import Pipeline, Tracker
from gateway.profiles import Profiles
from gateway.settings import GatewaySettings, Look, OwnLook, load_settings, look, right
from gateway.settings.gateway import Round
from gateway.settings.identity_keys import IdentityKeys, load_identity_keys
from gateway.settings.secrets import SETTINGS_FILE


class Configuration(Struct):
    """What the files say, checked."""

    directory: Path
    site: SiteMap
    settings: GatewaySettings
    profiles: Profiles
    consent_records: list[dict[str, Any]]
    """Of a local file; empty where consents come by a feed."""
    denied: list[str] = []
    """Subjects and identities that no consent can release."""
    map_problems: list[Problem] = []
    """Of the map in the directory, where it could not be used and an earlier one is."""
    map_of: str = ""
    """When that one was kept."""
    own: OwnLook | None = None
    """Where the settings stand in their file."""


class Assembly(Struct):
    """What runs, for as long as the process lives."""

    site: SiteMap
    settings: GatewaySettings
    profiles: Profiles
    counts: Counts
    identity_keys: IdentityKeys
    register: Register
    screen: ConsentScreen
    tally: Tally
    keys: Keys
    pipeline: Pipeline


def read_configuration(
    directory: Path, *, walked: bool = True, profiles: Profiles | None = None, found: Look | None = None
) -> Configuration:
    """Map, settings, profiles and consent records; not `walked`: without calibration.yaml; `profiles`,
    `found`: what is loaded already. ConfigError with every problem of every file."""
    profiles = firmware.profiles_of(directory) if profiles is None else profiles
    if found is None:
        found = look(directory, profiles=profiles.subscribable, walked=walked)
    problems: list[Problem] = []
    loaded: tuple[SiteMap, GatewaySettings] | None = None
    try:
        loaded = right(found)
    except ConfigError as error:
        problems += error.problems
    records: list[dict[str, Any]] = []
    consent = loaded[1].consent if loaded else None
    consent_file = consent.feed.file if consent else directory / "consent.yaml"
    try:
        if consent_file is not None and (consent or (not loaded and consent_file.exists())):
            records = load_consent_file(consent_file, _called(consent_file, directory))
        if consent is not None:
            load_signers(consent.signed_by or ())
    except ConfigError as error:
        problems += error.problems
    denied: list[str] = []
    try:
        if consent is not None and consent.deny is not None:
            denied = load_deny_list(consent.deny, _called(consent.deny, directory))
    except ConfigError as error:
        problems += error.problems
    if problems or loaded is None:
        raise ConfigError(problems)
    return Configuration(directory, loaded[0], loaded[1], profiles, records, denied, own=found.own)


def _called(path: Path, directory: Path) -> str:
    """A file of the settings as the operator would write it, who named the directory."""
    base = directory.absolute()
    return str(directory / path.relative_to(base) if path.is_relative_to(base) else path)


def assemble(
    configuration: Configuration, keys: Keys, *, hold: bool = False, confirmed: bool = False
) -> Assembly:
    """`hold`: see `tracker`; `confirmed`: consents are believed without a word of their feed, as where a
    recording brings them. ConfigError when the identity keys that the settings name cannot serve."""
    site, settings = configuration.site, configuration.settings
    counts = Counts()
    wanted = {name for broker in settings.brokers.values() for name in broker.subscribe}
    keys_of_identities = identity_keys_of(settings)
    profiles = configuration.profiles.select(sorted(wanted), site.site)
    policy = policy_of(site, settings)
    max_age_s = settings.consent.max_age if settings.consent is not None and not confirmed else None
    register = Register(counts, asks=policy.asks, subject_key=keys.subject_key, max_age_s=max_age_s)
    tally = Tally(settings.audit.window)
    screen = ConsentScreen(policy, register, keys, counts, tally)
    tracking = tracker(site, profiles, register, counts, keys_of_identities, hold=hold)
    pipeline = Pipeline(tracking, register, screen)
    return Assembly(
        site, settings, profiles, counts, keys_of_identities, register, screen, tally, keys, pipeline
    )


def tracker(
    site: SiteMap,
    profiles: Profiles,
    enrolment: Enrolment,
    counts: Counts,
    identity_keys: IdentityKeys = NO_KEYS,
    *,
    hold: bool = False,
) -> Tracker:
    """The half of the pipeline before consent: for surveys and scoring it is all there is.

    `hold`: wait for late fixes, so that their order of reception does not matter.
    """
    core = Holding(site) if hold else Core(site)
    return Tracker(Identification(site, profiles, enrolment, counts, identity_keys), core, counts)


def keys_of(settings: GatewaySettings) -> Keys:
    """KeyUnusableError when the key that the settings name cannot serve."""
    return load_keys(settings.gateway.keys, settings.gateway.state_dir)


def identity_keys_of(settings: GatewaySettings) -> IdentityKeys:
    """ConfigError when the file that the settings name cannot serve."""
    return load_identity_keys(settings.identity_keys) if settings.identity_keys else NO_KEYS


def for_surveys(directory: Path, site: SiteMap, tell: Callable[[str], None]) -> tuple[Profiles, IdentityKeys]:
    """Every profile, shipped or own, and the keys that gateway.yaml names.

    No keys where there is no such file, or none that can be used, which is told. ConfigError for a broken
    profile.
    """
    profiles = firmware.profiles_of(directory).select(None, site.site)
    if not (directory / SETTINGS_FILE).exists():
        return profiles, NO_KEYS
    try:
        return profiles, identity_keys_of(load_settings(directory, profiles=profiles.subscribable))
    except ConfigError as error:
        tell(f"no identity keys are used: {error.problems[0]}")
        return profiles, NO_KEYS


def without_key(configuration: Configuration, keys: IdentityKeys) -> int:
    """How many enrolled identities and beacons of the map no key belongs to: they will not be recognised."""
    records = configuration.consent_records
    named = {str(i).lower() for record in records for i in record.get("identities", ())}
    named |= {beacon.identity for beacon in configuration.site.beacons}
    held = {f"irk:{name}" for name in keys.irks} | {f"eid:{name}" for name in keys.eids}
    return sum(identity.startswith(("irk:", "eid:")) for identity in named - held)


def consent_words(configuration: Configuration) -> str:
    """Where consents come from, for an operator."""
    consent = configuration.settings.consent
    if consent is None:
        return "no consents, it only relays"
    feed = consent.feed
    signed = ", signed" if consent.signed_by else ""
    if feed.mqtt is not None:
        return f"consents over MQTT from {feed.mqtt}{signed}"
    if feed.http is not None:
        return f"consents over HTTP from {feed.http.url}{signed}"
    name = feed.file.name if feed.file is not None else "nowhere"
    return f"{len(configuration.consent_records)} consent records in {name}"


def policy_of(site: SiteMap, settings: GatewaySettings) -> Policy:
    recipients = tuple(
        Recipient(
            name,
            tuple(
                Purpose(
                    term=term,
                    legal_basis=purpose.legal_basis,
                    changes=frozenset(purpose.changes),
                    fields=frozenset(purpose.fields),
                    zones=None if purpose.zones == "all" else frozenset(purpose.zones),
                    profiling=purpose.profiling,
                    rounding=_rounding(name, purpose.round),
                )
                for term, purpose in recipient.purposes.items()
            ),
        )
        for name, recipient in settings.recipients.items()
    )
    counted = tuple(
        Counting(c.recipient, c.purpose, c.legal_basis, c.zones, c.window, c.k) for c in settings.counts
    )
    shows = settings.page.shows
    shown = Showing(shows.purpose, shows.legal_basis) if shows else None
    return Policy(
        site.site, settings.gateway.id, recipients, settings.gateway.epoch, zone_facts(site), counted, shown
    )


def zone_facts(site: SiteMap) -> dict[str, tuple[str, str]]:
    """Kind and name of every zone and fence."""
    facts = {zone.id: (zone.kind, zone.name) for zone in site.zones}
    return facts | {fence.id: (fence.kind, fence.name) for fence in site.fences}


def _rounding(recipient: str, wanted: Round) -> Rounding:
    default = AS_MEASURED if recipient == PLATFORM else WHOLE_MINUTES
    return Rounding(
        default.time_s if wanted.time is None else wanted.time,
        default.dwell_s if wanted.dwell is None else wanted.dwell,
    )


def outbox_of(settings: GatewaySettings, counts: Counts) -> Outbox:
    """Not yet opened."""
    return Outbox(
        settings.gateway.state_dir / "outbox.sqlite",
        settings.recipients.keys(),
        commit_delay_s=settings.outbox.commit,
        counts=counts,
        limits=limits_of(settings),
    )


def limits_of(settings: GatewaySettings) -> Limits:
    wanted = settings.outbox
    classes = tuple(Class(c.priority, c.keep, c.changes, c.purposes) for c in wanted.classes)
    return Limits(wanted.max_mb << 20, wanted.keep, classes)
