"""All firmware profiles together: messages to observations, sightings to identities."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from gateway.counts import Counts
from gateway.located import did_you_mean
from gateway.model import Fix, Message, Sighting
from gateway.profiles.ble import BleIndex, BleReader, Heard
from gateway.profiles.decoded import BindKeys, Decoded
from gateway.profiles.outcome import Outcome
from gateway.profiles.parts import Part, PartReader
from gateway.profiles.payload import MqttReader
from gateway.profiles.schema_ble import BleProfile
from gateway.profiles.schema_mqtt import MqttProfile
from gateway.profiles.states import StateReader
from gateway.profiles.telemetry import Telemetry
from gateway.profiles.typed import Quick
from gateway.profiles.vectors import VectorResult, check_vectors, readers_of

CACHED_TOPICS = 4096
MAX_TOPIC_CHARS = 1024

_Claim = tuple[MqttReader | PartReader, dict[str, str] | None]


class Profiles:
    """Compiled profiles. Reading never raises, whatever the bytes; what became of them is counted.

    Counted in room `profiles.<name>`, and in room `profiles` what no profile claims.
    """

    def __init__(
        self,
        profiles: Iterable[BleProfile | MqttProfile],
        site: str | None = None,
        *,
        ble: BleIndex | None = None,
    ) -> None:
        self._all = tuple(sorted(profiles, key=lambda p: p.profile))
        self._site = site
        self._ble = ble or BleIndex(BleReader(p) for p in self._all if isinstance(p, BleProfile))
        self._mqtt = {p.profile: readers_of(p) for p in self._all if isinstance(p, MqttProfile)}
        self._topics: dict[str, list[_Claim]] = {}
        self._vehicle_topics: dict[str, bool] = {}
        self._quick: dict[str, tuple[str, Quick]] = {}
        """Topics of one profile that has a quick way, with its room."""

    def with_bind_keys(self, keys: BindKeys) -> Profiles:
        """The same profiles for somebody who holds keys of encrypted telemetry."""
        return Profiles(self._all, self._site, ble=self._ble.with_keys(keys))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.profile for p in self._all)

    @property
    def subscribable(self) -> tuple[str, ...]:
        """Names of the profiles that are heard over MQTT."""
        return tuple(self._mqtt)

    def topics(self, name: str, site: str | None = None) -> tuple[str, ...]:
        """MQTT subscription filters of a profile, `{site}` bound to `site`; none for one heard by radio."""
        if name not in self.names:
            raise ValueError(f"unknown profile {name!r}{did_you_mean(name, self.names)}")
        readers = self._mqtt.get(name, ())
        return tuple(topic.filter(site or self._site) for reader in readers for topic in reader.topics)

    def states(self, names: Collection[str]) -> tuple[StateReader, ...]:
        """Where the receivers of these profiles say whether they are alive."""
        return tuple(
            StateReader(state)
            for p in self._all
            if isinstance(p, MqttProfile) and p.profile in names
            for state in p.state
        )

    def gives_fixes(self, name: str) -> bool:
        """Whether a profile speaks of vehicles: what it carries must not be lost."""
        return any(reader.gives_fixes for reader in self._mqtt.get(name, ()))

    def is_vehicle_topic(self, topic: str) -> bool:
        """Whether a message of this topic may be a fix."""
        known = self._vehicle_topics.get(topic)
        if known is None:
            known = any(reader.gives_fixes for reader, _ in self._claims(topic))
            if topic in self._topics:
                self._vehicle_topics[topic] = known
        return known

    def select(self, names: Collection[str] | None, site: str | None) -> Profiles:
        """All radio profiles, of the MQTT ones only `names` (None: all), with `{site}` bound to `site`."""
        for name in names or ():
            self.topics(name)
        kept = [p for p in self._all if isinstance(p, BleProfile) or names is None or p.profile in names]
        return Profiles(kept, site, ble=self._ble)

    def forget(self) -> None:
        """Advertisements and topics heard lately, which may name anybody; they are only kept to be quick."""
        self._ble.forget()
        self._forget_topics()

    def _forget_topics(self) -> None:
        self._topics.clear()
        self._quick.clear()
        self._vehicle_topics.clear()

    def read(self, message: Message, counts: Counts) -> list[Sighting | Fix | Part]:
        """The observations in a message, in its order; empty when there are none."""
        quick = self._quick.get(message.topic)
        if quick is not None:
            fix = quick[1](message)
            if fix is not None:
                counts.count(quick[0], "matched")
                return [fix]
        claims = self._claims(message.topic)
        if not claims:
            counts.count("profiles", Outcome.NOT_MINE.value)
        found: list[Sighting | Fix | Part] = []
        for reader, parts in _telling(claims, message.payload):
            if parts is None:
                counts.count(reader.room, Outcome.MALFORMED.value)
            else:
                found += reader.read(message, parts, counts)
        return found

    def heard(self, sighting: Sighting, counts: Counts) -> Heard:
        """What an advertisement says: who this may be, how the device is, and what takes a key to read.

        What the receiver decoded comes first, then identities in the advertisement, then a public address:
        a random address never identifies.
        """
        heard = self._ble.heard(sighting.adv, sighting.address, sighting.address_type, counts)
        found, telemetry = heard.identities, heard.telemetry
        if sighting.identity and sighting.identity not in found:
            found = (sighting.identity, *found)
        if sighting.address_type == "public" and sighting.address:
            public = f"mac:{sighting.address}"
            if public not in found:
                found = (*found, public)
        if sighting.battery_pct is not None or sighting.moved is not None:
            telemetry = Telemetry(sighting.battery_pct, sighting.moved)
        if found is heard.identities and telemetry is heard.telemetry:
            return heard
        return Heard(found, telemetry, heard.sealed)

    def identities(self, sighting: Sighting, counts: Counts) -> tuple[str, ...]:
        """Who this may be, the surest first; empty for an unknown device."""
        return self.heard(sighting, counts).identities

    def decode(self, adv: bytes, address: str = "") -> list[Decoded]:
        """What every profile that an advertisement belongs to says of it: for those who look, not counted."""
        return self._ble.claims(adv, address)

    def doubt(self, name: str) -> str:
        """What could not be verified about a profile, in a line; empty when its document says it all."""
        profile = next(p for p in self._all if p.profile == name)
        return "" if profile.verified else " ".join(profile.note.split())

    def test(self) -> Sequence[VectorResult]:
        """Every vector of every profile, run again."""
        return [result for profile in self._all for result in check_vectors(profile)]

    def _claims(self, topic: str) -> list[_Claim]:
        """Profiles that a topic belongs to; None for named parts that are not fit for an identity."""
        claims = self._topics.get(topic)
        if claims is None:
            claims = []
            levels = topic.split("/") if len(topic) <= MAX_TOPIC_CHARS else []
            for reader in (r for readers in self._mqtt.values() for r in readers):
                parts = reader.parts(levels, self._site)
                if parts is not None:
                    claims.append((reader, parts if reader.accepts(parts) else None))
            if len(self._topics) >= CACHED_TOPICS:
                self._forget_topics()
            if levels:
                self._remember(topic, claims)
        return claims

    def _remember(self, topic: str, claims: list[_Claim]) -> None:
        self._topics[topic] = claims
        if len(claims) == 1:
            reader, parts = claims[0]
            if isinstance(reader, MqttReader) and reader.quick is not None and parts is not None:
                self._quick[topic] = (reader.room, reader.quick.bind(parts))


def _telling(claims: list[_Claim], payload: bytes) -> list[_Claim]:
    """Of several claims on a topic those that the first bytes of the payload do not speak against."""
    if len(claims) < 2:
        return claims
    by_starts = [claim for claim in claims if claim[0].starts and payload.startswith(claim[0].starts)]
    return by_starts or [claim for claim in claims if not claim[0].starts]
