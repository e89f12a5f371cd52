"""The one way through: signals in, presence out, and of it what may leave.

Synchronous and deterministic: no await, no clock, no I/O, no random. The same signals give the same
events wherever the input is split, because before each signal everything due runs at its own exact time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct, field

from gateway.consent import ConsentScreen, Register, Release
from gateway.consent.bars import KEPT_S, OPEN, Bar, Withdrawal
from gateway.consent.board import Board
from gateway.consent.drivers import VEHICLE
from gateway.consent.footfall import Footfall
from gateway.consent.policy import Showing
from gateway.consent.register import Permit
from gateway.consent.waiting import WaitingRoom
from gateway.core import Core
from gateway.core.explaining import Story
from gateway.counts import Counts
from gateway.identity import Identification
from gateway.model import (
    OPERATOR,
    ClockTrust,
    ConsentSignal,
    DriverSignal,
    FeedState,
    Hearing,
    Message,
    ObjectionSignal,
    Observation,
    OpenStay,
    Presence,
    ReceiverHealth,
    ReceiverState,
    Sighting,
    Signal,
    SiteMap,
    StayClosed,
)
from gateway.settings.identity_keys import IdentityKeys


class Tracker:
    """Decode, identify, core: signals in, presence out. Knows nothing of consent or recipients."""

    def __init__(self, identification: Identification, core: Core, counts: Counts) -> None:
        self._identification = identification
        self._core = core
        self._counts = counts
        self._run: list[Observation] = []
        """Gathered, in order, and not yet told to the core."""
        self._reached_s = float("-inf")

    def take(self, signal: Signal) -> list[Presence]:
        """Everything due before the signal, then what the signal itself brings about."""
        return self.gather(signal) + self.settle()

    def gather(self, signal: Signal) -> list[Presence]:
        """As `take`; what is heard goes to the core together, at the next signal of another kind or `settle`.

        The core runs what is due before each observation, so the events are the same, only told later.
        """
        if isinstance(signal, Sighting | Message):
            self._reached_s = max(self._reached_s, signal.t_s)
            for item, observation in self._identification.heard(signal):
                if observation is not None:
                    self._run.append(observation)
                elif isinstance(item, Sighting) and self._identification.is_receiver(item.receiver):
                    self._run.append(Hearing(item.t_s, item.receiver))
            return []
        presences = self.settle() + self._core.advance(signal.t_s)
        if isinstance(signal, ReceiverState):
            presences += self._core.receiver_alive(signal.receiver, signal.alive, signal.t_s)
        else:
            self._counts.count("pipeline", "control")
        return presences

    def settle(self) -> list[Presence]:
        """What has been gathered goes to the core."""
        run, self._run = self._run, []
        return self._core.observe(run) + self._core.advance(self._reached_s)

    def advance(self, t_s: float) -> list[Presence]:
        self._identification.fade(t_s)
        return self._core.advance(t_s)

    def counted(self) -> Counts:
        """The counts, those of the core included."""
        self._counts.adopt("core", self._core.rejected)
        return self._counts

    def next_deadline(self) -> float | None:
        return self._core.next_deadline()

    def rekey(self, keys: IdentityKeys) -> None:
        """Identity keys were read again; they hold from the next signal on."""
        self._identification.rekey(keys)

    def is_receiver(self, name: str) -> bool:
        return self._identification.is_receiver(name)

    def explain(self, subject: str) -> Story:
        return self._core.explain(subject)

    def replace_site(self, site: SiteMap) -> list[Presence]:
        """Another map from now on; see `Core.replace_site`."""
        presences = self.settle()
        self._identification.know(site)
        return presences + self._core.replace_site(site)

    def forget(self, subject: str) -> None:
        self._identification.forget(subject)
        self._core.forget(subject)

    def devices_of(self, subject: str) -> list[str]:
        """Devices of a subject of which the core keeps anything."""
        return self._core.devices_of(subject)

    def receivers(self) -> list[ReceiverHealth]:
        return self._core.receivers()

    def leave(self, subject: str, device: str, t_s: float) -> list[Presence]:
        """The device stands for somebody else from now on."""
        return self._core.leave(subject, device, t_s)

    def resume(self, stays: Iterable[OpenStay], t_s: float) -> list[Presence]:
        return self._core.resume(stays, t_s)


class Outcome(Struct):
    """What a batch of signals leaves behind, to be stored in one transaction."""

    releases: list[Release] = field(default_factory=list)
    stays: list[OpenStay | StayClosed] = field(default_factory=list)
    """Rows to write and to delete, in order."""
    withdrawn: list[Withdrawal] = field(default_factory=list)
    """Subjects that may have nothing queued any more."""

    def __bool__(self) -> bool:
        return bool(self.releases or self.stays or self.withdrawn)


class Pipeline:
    """Tracker and consent as one: what daemon, replay and simulation all run."""

    def __init__(
        self,
        tracker: Tracker,
        register: Register,
        screen: ConsentScreen,
        watch: Callable[[Presence], None] | None = None,
    ) -> None:
        """`watch` sees every presence before the screen: for those who ask why, never for a sink."""
        self._tracker = tracker
        self.watch = watch
        self._register = register
        self._screen = screen
        self._waiting = WaitingRoom(screen.deny)
        self._footfall = Footfall(screen.policy.counted, register.may_count)
        self.board = Board(screen.policy.shown, partial(_may_show, register, screen.policy.shown))
        """For the status page: who may be shown there."""
        self._written: set[tuple[str, str]] = set()
        """Stays that have a row in the outbox."""
        self._to_resume: dict[str, list[OpenStay]] = {}
        """Open at the last stop, of subjects that the feed has not yet named."""
        self._queued: frozenset[bytes] = frozenset()
        """Subjects (by key) with events from before the last stop, of whom the feed may know nothing."""
        self._now_s = float("-inf")

    def feed(self, signals: Sequence[Signal]) -> Outcome:
        outcome = Outcome()
        for signal in signals:
            self._now_s = max(self._now_s, signal.t_s)
            self._screen_all(self._tracker.gather(signal), outcome)
            if not isinstance(signal, Sighting | Message):  # of those the core does not know yet
                self._count(self._now_s, outcome)
            self._heed(signal, outcome)
        self._screen_all(self._tracker.settle(), outcome)
        self._count(self._now_s, outcome)
        return outcome

    def advance(self, t_s: float) -> Outcome:
        """Run everything due at or before `t_s`."""
        outcome = Outcome()
        self._now_s = max(self._now_s, t_s)
        self._screen_all(self._tracker.advance(t_s), outcome)
        self._count(self._now_s, outcome)
        self._waiting.expire(self._now_s)
        return outcome

    def counted(self) -> Counts:
        return self._tracker.counted()

    def rekey(self, keys: IdentityKeys) -> None:
        """Identity keys were read again; they hold from the next signal on."""
        self._tracker.rekey(keys)

    def receivers(self) -> list[ReceiverHealth]:
        """Which receivers of the map hear, as of the last signal."""
        return self._tracker.receivers()

    def is_receiver(self, name: str) -> bool:
        """Whether the map has a receiver of this name."""
        return self._tracker.is_receiver(name)

    def explain(self, subject: str) -> Story:
        """What the core knows of the subject now; see `Core.explain`."""
        return self._tracker.explain(subject)

    def replace_site(self, site: SiteMap, facts: Mapping[str, tuple[str, str]]) -> Outcome:
        """Another map, between two signals: what is equal in both keeps its stays, the rest is closed with
        reason `restart`. `facts`: kind and name of every zone."""
        outcome = Outcome()
        self._screen_all(self._tracker.replace_site(site), outcome)
        self._screen.know_zones(facts)
        return outcome

    def next_deadline(self) -> float | None:
        """When `advance` has something to do, Unix seconds; None: not before the next signal."""
        rooms = (self._tracker, self._waiting, self._footfall)
        deadlines_s = (room.next_deadline() for room in rooms)
        return min((d for d in deadlines_s if d is not None), default=None)

    def resume(self, stays: Sequence[OpenStay], t_s: float, queued: Collection[bytes] = ()) -> Outcome:
        """Take up what was open at the last stop; a stay that nobody may know of any more ends silently.

        Of a subject that the feed has not named yet it is taken up when it does; what is left when the
        feed is confirmed ends, and what is `queued` (subject keys) of a subject that it does not name goes.
        """
        outcome = Outcome()
        for stay in stays:
            self._written.add((stay.subject, stay.zone))
            self._to_resume.setdefault(stay.subject, []).append(stay)
        self._queued = frozenset(queued)
        self._now_s = max(self._now_s, t_s)
        self._resume(list(self._to_resume), outcome)
        self._give_up(outcome)
        return outcome

    def deny(self, listed: Collection[str], t_s: float) -> Outcome:
        """Subjects and identities that no consent can release, from now on.

        Of the owner of such a device everything queued and open goes: which device it came from is not known.
        """
        outcome = Outcome()
        self._now_s = max(self._now_s, t_s)
        before = self._admitted(self._register.subjects())
        concerned = self._register.deny(listed)
        self._withdraw(concerned & before, outcome, before, regardless=True)
        self._withdraw(concerned - before, outcome, before)
        return outcome

    def devices_of(self, subject: str) -> list[str]:
        """Devices of a subject of which anything is kept in memory."""
        return self._tracker.devices_of(subject)

    # --- who may know ---

    def _heed(self, signal: Signal, outcome: Outcome) -> None:
        match signal:
            case ConsentSignal():
                named = [raw.get("subject") for raw in signal.records if isinstance(raw, dict)]
                admitted = self._admitted(self._register.subjects() if signal.complete else named)
                touched = self._register.absorb(signal.records, complete=signal.complete, t_s=self._now_s)
                self._withdraw(touched, outcome, admitted)
                self._resume(touched & self._to_resume.keys(), outcome)
            case ObjectionSignal():
                self._object(signal, outcome)
            case DriverSignal():
                for subject in self._register.drives(signal):
                    left = self._tracker.leave(subject, VEHICLE + signal.vehicle, self._now_s)
                    self._screen_all(left, outcome)
            case FeedState():
                self._register.confirm(signal)
            case ClockTrust():
                self._register.trust_clock(signal.trusted)
            case _:
                return
        self._screen.heard(signal)
        self._waiting.expire(self._now_s)
        if self._register.doubt(self._now_s) is None:
            for presence in self._waiting.leave():
                self._release(presence, self._now_s, outcome)
        self._give_up(outcome)

    def _object(self, signal: ObjectionSignal, outcome: Outcome) -> None:
        record = self._register.record_of(signal.subject)
        version = record.version if record else self._register.bar_of(signal.subject).version
        key, admitted = self._screen.subject_key(signal.subject), self._admitted([signal.subject])
        erased_version = max(version, 1) if signal.erase else 0
        self._register.bar(key, Bar(erased_version, version, signal.t_s, signal.t_s + KEPT_S))
        self._withdraw({signal.subject}, outcome, admitted)

    def _admitted(self, subjects: Iterable[Any]) -> set[str]:
        return {s for s in subjects if isinstance(s, str) and self._register.admits(s, self._now_s)}

    def _withdraw(
        self,
        touched: Collection[str],
        outcome: Outcome,
        admitted: Collection[str],
        *,
        regardless: bool = False,
    ) -> None:
        """Of those who permit nothing any more nothing stays: not in the core, not waiting, not in a row.

        `regardless`: of those who still permit something neither.
        """
        self._screen.know(touched)
        for subject in sorted(touched):
            if not regardless and self._register.admits(subject, self._now_s):
                continue
            self._tracker.forget(subject)
            self._waiting.forget(subject)
            self._footfall.forget(subject)
            self.board.forget(subject)
            key, bar = self._screen.subject_key(subject), self._register.bar_of(subject)
            is_held = self._register.record_of(subject) is not None
            is_erasure = bool(bar.erased_version) and not is_held
            outcome.withdrawn.append(Withdrawal(subject, key, bar, subject in admitted, is_erasure))
            self._to_resume.pop(subject, None)
            for _, zone in sorted(k for k in self._written if k[0] == subject):
                self._close(subject, zone, outcome)
            if not is_held:
                self._screen.forget(subject)

    def _resume(self, subjects: Iterable[str], outcome: Outcome) -> None:
        for subject in sorted(subjects):
            if self._register.admits(subject, self._now_s):
                stays = self._to_resume.pop(subject)
                self._footfall.resume(stays, self._now_s)
                self.board.resume(stays)
                self._screen_all(self._tracker.resume(stays, self._now_s), outcome)

    def _give_up(self, outcome: Outcome) -> None:
        """The feed is confirmed: who is not in it by now is not coming."""
        if not (self._to_resume or self._queued) or self._register.doubt(self._now_s) is not None:
            return
        for subject, stays in sorted(self._to_resume.items()):
            for stay in stays:
                self._close(subject, stay.zone, outcome)
        self._to_resume.clear()
        for key in sorted(key for key in self._queued if not self._screen.knows(key)):
            outcome.withdrawn.append(Withdrawal("", key, OPEN))
        self._queued = frozenset()

    def _screen_all(self, presences: list[Presence], outcome: Outcome) -> None:
        for presence in presences:
            if self.watch is not None:
                self.watch(presence)
            self._count(presence.emitted_s, outcome)
            self._footfall.take(presence)
            self.board.take(presence)
            doubt = self._register.doubt(presence.emitted_s)
            if doubt is None:
                self._release(presence, presence.emitted_s, outcome)
            else:
                self._waiting.put(presence, doubt, presence.emitted_s)

    def _count(self, t_s: float, outcome: Outcome) -> None:
        """Counts of windows that are over, before anything that comes behind their end."""
        outcome.releases += map(self._screen.counted, self._footfall.due(t_s))

    def _release(self, presence: Presence, now_s: float, outcome: Outcome) -> None:
        outcome.releases += self._screen.releases(presence, now_s)
        stay = presence.stay
        if stay is None:
            self._close(presence.subject, presence.zone, outcome)
        elif self._screen.concerns_anybody(stay.subject, stay.zone, now_s):
            self._written.add((stay.subject, stay.zone))
            outcome.stays.append(stay)

    def _close(self, subject: str, zone: str, outcome: Outcome) -> None:
        if (subject, zone) in self._written:
            self._written.discard((subject, zone))
            outcome.stays.append(StayClosed(subject, zone))


def _may_show(  # noqa: PLR0917 - the form of `board.MayShow`
    register: Register, shown: Showing | None, subject: str, zone: str, t_s: float, now_s: float
) -> bool:
    if shown is None:
        return False
    verdict = register.decide(subject, shown.purpose, OPERATOR, zone, t_s=t_s, now_s=now_s)
    return isinstance(verdict, Permit)
