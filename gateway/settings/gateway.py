"""gateway.yaml: who this gateway is, what it listens to, and who may receive what for which purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from gateway.model import CHANGES, FIELDS, Change
from gateway.settings.durations import Duration, Step
from gateway.settings.page import Page
from gateway.settings.secrets import Secret
from gateway.settings.sections import LegalBasis, Name, Positive, Section, Term, Whole, Words
from gateway.settings.values import (
    a_minute_to_a_day,
    a_purpose,
    adapter_address,
    at_most_5_s,
    data_field,
    each_once,
    host,
    https,
    not_empty,
    part_of_a_day,
    zone_form,
)


class Clock(Section):
    trust: Literal["kernel", "always"] = "kernel"
    """`kernel`: personal events wait until the kernel says that the clock is synchronised."""


class Gateway(Section):
    id: Name
    """Part of every topic; unique in its store."""
    state_dir: Path = Path("/var/lib/gateway")
    """Absolute once loaded: a relative one is counted from the directory of the configuration."""
    clock: Clock = Clock()
    """When its time is believed."""
    keys: Secret | None = None
    """None: made at the first start, kept in the state directory."""
    epoch: Duration = Field(default="30d", validate_default=True)
    """Seconds that a pseudonym lasts."""
    watch: bool = Field(default=False, strict=True)
    """Take over a file of the configuration as soon as it is saved, without `gateway reload` or SIGHUP."""


class Tls(Section):
    ca: Path | None = None
    """File of the certificates that the other end is believed by; left out: those of the system."""
    cert: Path | None = None
    """File of the certificate by which this gateway is known."""
    key: Secret | None = None
    """File of its key."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Tls:
        if (self.cert is None) != (self.key is None):
            raise ValueError("a client certificate needs both cert and key")
        return self


class Broker(Section):
    host: Annotated[Words, AfterValidator(host)]
    """Name or address."""
    tls: Tls | None = None
    """Left out: in the clear."""
    port: Annotated[Whole, Field(ge=1, le=65535)] = 1883
    """With `tls` 8883 when left out."""
    username: Words | None = None
    """Left out: nobody in particular, or the certificate's name."""
    password: Secret | None = None
    """File of the password."""
    subscribe: tuple[str, ...] = ()
    """Names of firmware profiles."""
    protocol: Literal[5, "3.1.1"] = 5
    """Version of MQTT."""

    @model_validator(mode="before")
    @classmethod
    def _port_of_tls(cls, broker: Any) -> Any:
        if isinstance(broker, dict) and "port" not in broker and broker.get("tls") is not None:
            return broker | {"port": 8883}
        return broker


class Ble(Section):
    adapters: Annotated[
        tuple[Annotated[Words, AfterValidator(adapter_address)], ...],
        AfterValidator(not_empty),
        AfterValidator(each_once),
    ] = ("auto",)
    """`auto`: the first adapter that is powered; else addresses of adapters."""
    receiver: Name | None = None
    """Id in the map of this machine's own radio; None: the gateway's id."""


class Relay(Section):
    via: str
    """Name of the broker on which another gateway hears this machine's radio."""
    addresses: tuple[Literal["public", "resolvable"], ...] = ("public", "resolvable")
    """Addresses that are told even without an identity in the advertisement: they may be one."""


DataField = Annotated[str, AfterValidator(data_field), WithJsonSchema({"enum": list(FIELDS)})]


class Round(Section):
    """Steps that an event's times are rounded down to; None: the recipient's own, see `Purpose.round`."""

    time: Step | None = None
    """`time`, `since`, and for partners `recordedtime`."""
    dwell: Step | None = None
    """`dwell_s`."""


class Purpose(Section):
    legal_basis: LegalBasis
    """Such as `eu-gdpr:A6-1-a`; part of the documentation, not of the decision."""
    changes: Annotated[tuple[Change, ...], AfterValidator(not_empty)] = CHANGES
    """Left out: all of them."""
    fields: Annotated[tuple[DataField, ...], AfterValidator(not_empty)]
    """What is told of an event; nothing else leaves."""
    zones: Annotated[
        Annotated[Literal["all"], Tag("all")] | Annotated[tuple[str, ...], Tag("some")],
        Discriminator(zone_form),
    ] = "all"
    """`all`, or ids of zones and fences."""
    profiling: bool = False
    """Only for subjects whose record says `age: adult`."""
    round: Round = Round()
    """What it leaves out is 0 (no rounding) for the recipient named platform, 1min for every other."""


class Webhook(Section):
    """Events are posted there as batches of CloudEvents, signed."""

    url: Annotated[Words, AfterValidator(https)]
    """Where they are posted; https, except on this machine itself."""
    secret: Secret
    """File of what signs them: one `whsec_<base64>` a line, each of which gives a signature."""
    tls: Tls | None = None
    """None: the certificates of the system."""


class Recipient(Section):
    """Behind a broker (`via`) or a webhook."""

    via: str | None = None
    """Name of a broker."""
    webhook: Webhook | None = None
    """Its events are posted over HTTPS."""
    ack: Literal["platform", "puback"] = "platform"
    """With a webhook left out: its answer is the acknowledgement."""
    backlog_per_s: Annotated[Positive, Field(ge=1, le=10_000)] = 50
    """Events a second of what waited for more than a minute; what is live goes first, as fast as it comes."""
    purposes: Annotated[dict[Term, Purpose], AfterValidator(a_purpose)]
    """In order: an event is released for the first purpose that permits it."""

    @model_validator(mode="after")
    def _one_way_there(self) -> Recipient:
        if (self.via is None) == (self.webhook is None):
            raise ValueError("expected `via` with the name of a broker, or `webhook`")
        if self.webhook is not None and "ack" in self.model_fields_set:
            raise ValueError("the answer of a webhook is the acknowledgement; leave ack out")
        return self


class HttpFeed(Section):
    url: Annotated[Words, AfterValidator(https)]
    """Where the records are; https, except on this machine itself."""
    interval: Duration = Field(default="60s", validate_default=True)
    """Seconds between two questions whether something is new."""
    tls: Tls | None = None
    """None: the certificates of the system."""
    token: Secret | None = None
    """Sent as a bearer token."""


class Feed(Section):
    """Where consents come from: exactly one of these."""

    file: Path | None = None
    """A local file, complete in itself."""
    mqtt: str | None = None
    """Name of the broker that holds them, retained."""
    http: HttpFeed | None = None
    """An address that is asked again and again."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Feed:
        if (self.file, self.mqtt, self.http).count(None) != 2:
            raise ValueError("expected one of file, mqtt and http")
        return self


class Consent(Section):
    feed: Feed
    """Where consents come from."""
    max_age: Duration | None = None
    """How long a confirmation of the feed holds; None: 1h, and a file confirms itself for ever."""
    drivers: str | None = None
    """Name of the broker where it is said who drives a shared car; None: that of the feed, if any."""
    signed_by: Annotated[tuple[Path, ...], AfterValidator(not_empty)] | None = None
    """Public keys, one of which has to have signed each record; None: signatures are not asked for."""
    deny: Path | None = None
    """File with a list of subjects and identities that no consent can release, staff's tags for one."""

    @model_validator(mode="before")
    @classmethod
    def _age_of_feeds(cls, consent: Any) -> Any:
        feed = consent.get("feed") if isinstance(consent, dict) else None
        if isinstance(feed, dict) and feed.keys() & {"mqtt", "http"} and "max_age" not in consent:
            return consent | {"max_age": "1h"}
        return consent

    @property
    def drivers_broker(self) -> str | None:
        return self.drivers or self.feed.mqtt


class Counting(Section):
    """Zones of which a recipient learns how many consenting people there were."""

    recipient: str
    """Name of who learns the numbers."""
    purpose: Term
    """What the consent to being counted names."""
    legal_basis: LegalBasis
    """Of the counting, such as `eu-gdpr:A6-1-a`."""
    zones: Annotated[tuple[str, ...], AfterValidator(not_empty)]
    """Ids; no two of them with ground in common."""
    window: Annotated[Duration, AfterValidator(part_of_a_day)] = Field(default="15min", validate_default=True)
    """Counted are windows of this length, side by side."""
    k: Annotated[Whole, Field(ge=3, le=1000)] = 10
    """Numbers are rounded down to multiples of it; below it nothing is told."""


class Audit(Section):
    window: Annotated[Duration, AfterValidator(a_minute_to_a_day)] = Field(
        default="15min", validate_default=True
    )
    """Decisions are counted over so many seconds."""
    max_mb: Annotated[Whole, Field(ge=1, le=4096)] = 16
    """MiB that the log may take; the oldest lines go."""
    keep: Duration = Field(default="90d", validate_default=True)
    """Seconds after which a line is removed."""


class OutboxClass(Section):
    """Events that are alike in what they are worth; `changes` and `purposes` left out: all."""

    changes: Annotated[tuple[Literal[Change, "counted"], ...], AfterValidator(not_empty)] | None = None
    """Left out: all."""
    purposes: Annotated[tuple[Term, ...], AfterValidator(not_empty)] | None = None
    """Left out: all."""
    priority: Literal["low", "normal", "high"] = "normal"
    """When the outbox is full, low goes first, and of one priority the oldest."""
    keep: Duration | None = None
    """Seconds that such an event may wait, if shorter than the outbox's own."""


class Outbox(Section):
    """What waits for its recipients, on disk."""

    max_mb: Annotated[Whole, Field(ge=8, le=65536)] = 256
    """Hard size of the database; its log takes a few MB more."""
    keep: Duration = Field(default="30d", validate_default=True)
    """Seconds that an event may wait; then it goes, and a tombstone says so."""
    commit: Annotated[Duration, AfterValidator(at_most_5_s)] = Field(default="200ms", validate_default=True)
    """Longest that an event waits for others to be written with."""
    classes: tuple[OutboxClass, ...] = (OutboxClass(changes=("approaching", "entering"), priority="low"),)
    """The first that fits an event decides; what none fits is normal. None: approaching, entering are low."""


class GatewaySettings(Section):
    gateway: Gateway
    """Which gateway this is."""
    brokers: dict[Name, Broker] = Field(default_factory=dict)
    """MQTT brokers, by a name of your choice."""
    ble: Ble | None = None
    """Left out: this machine has no radio."""
    relay: Relay | None = None
    """This machine hears for another gateway; without recipients and consent it does nothing else."""
    identity_keys: Secret | None = None
    """File of the keys behind `irk:` and `eid:` identities; None: these identify nobody here."""
    recipients: dict[Name, Recipient] = Field(default_factory=dict)
    """Who may receive what, by name; `platform` is the one that enrols."""
    consent: Consent | None = None
    """Left out only where nothing is told to anybody (`relay`)."""
    counts: tuple[Counting, ...] = ()
    """Left out: nobody is counted."""
    audit: Audit = Audit()
    """The log of decisions: docs/audit.md."""
    outbox: Outbox = Outbox()
    """What waits for recipients on disk."""
    page: Page = Page()
    """The status page: docs/page.md."""

    @property
    def is_relay_only(self) -> bool:
        return self.relay is not None and not self.recipients and self.consent is None

    @property
    def own_receiver(self) -> str | None:
        """Id in the map of this machine's own radio; None without one."""
        return (self.ble.receiver or self.gateway.id) if self.ble else None


def beside(settings: GatewaySettings, directory: Path) -> GatewaySettings:
    """The same with every relative path counted from `directory`."""
    absolute: GatewaySettings = _absolute(settings, directory.absolute())
    return absolute


def _absolute(value: Any, directory: Path) -> Any:
    if isinstance(value, Path):
        return directory / value
    if isinstance(value, Secret):
        return value.beside(directory)
    if isinstance(value, tuple):
        return tuple(_absolute(item, directory) for item in value)
    if isinstance(value, dict):
        return {key: _absolute(item, directory) for key, item in value.items()}
    if isinstance(value, Section):
        changed = {name: _absolute(getattr(value, name), directory) for name in value.model_fields_set}
        return value.model_copy(update=changed)
    return value
