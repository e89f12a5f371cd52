"""The one way through: signals in, presence out, and of it what may leave.

Synchronous and deterministic: no await, no clock, no I/O, no random. The same signals give the same
events wherever the input is split, because before each signal everything due runs at its own exact time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct, field

from gateway.consent import ConsentScreen, Register, Release
from gateway.core import Core
from gateway.counts import Counts
from gateway.identity import Identification
from gateway.model import (
    ClockStep,
    ConsentSignal,
    DriverSignal,
    FeedState,
    Message,
    OpenStay,
    Presence,
    ReceiverState,
    Sighting,
    Signal,
    StayClosed,
)
from gateway.settings.identity_keys import IdentityKeys


class Tracker:
    """Decode, identify, core: signals in, presence out. Knows nothing of consent or recipients."""

    def __init__(self, identification: Identification, core: Core, counts: Counts) -> None:
        self._identification = identification
        self._core = core
        self._counts = counts

    def take(self, signal: Signal) -> list[Presence]:
        """Everything due before the signal, then what the signal itself brings about."""
        presences = self._core.advance(signal.t_s)
        match signal:
            case Sighting() | Message():
                for item, observation in self._identification.heard(signal):
                    if isinstance(item, Sighting) and self._identification.is_receiver(item.receiver):
                        self._core.receiver_heard(item.receiver, item.t_s)
                    if observation is not None:
                        presences += self._core.observe_one(observation)
            case ReceiverState():
                presences += self._core.receiver_alive(signal.receiver, signal.alive, signal.t_s)
            case ClockStep() | ConsentSignal() | FeedState() | DriverSignal():
                self._counts.count("pipeline", "control")
        return presences

    def advance(self, t_s: float) -> list[Presence]:
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

    def forget(self, subject: str) -> None:
        self._identification.forget(subject)
        self._core.forget(subject)

    def resume(self, stays: Iterable[OpenStay], t_s: float) -> list[Presence]:
        return self._core.resume(stays, t_s)


class Outcome(Struct):
    """What a batch of signals leaves behind, to be stored in one transaction."""

    releases: list[Release] = field(default_factory=list)
    stays: list[OpenStay | StayClosed] = field(default_factory=list)
    """Rows to write and to delete, in order."""
    withdrawn: list[str] = field(default_factory=list)
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
        self._written: set[tuple[str, str]] = set()
        """Stays that have a row in the outbox."""
        self._now_s = float("-inf")

    def feed(self, signals: Sequence[Signal]) -> Outcome:
        outcome = Outcome()
        for signal in signals:
            self._now_s = max(self._now_s, signal.t_s)
            self._screen_all(self._tracker.take(signal), outcome)
            if isinstance(signal, ConsentSignal):
                self._consent(signal, outcome)
        return outcome

    def advance(self, t_s: float) -> Outcome:
        """Run everything due at or before `t_s`."""
        outcome = Outcome()
        self._now_s = max(self._now_s, t_s)
        self._screen_all(self._tracker.advance(t_s), outcome)
        return outcome

    def counted(self) -> Counts:
        return self._tracker.counted()

    def rekey(self, keys: IdentityKeys) -> None:
        """Identity keys were read again; they hold from the next signal on."""
        self._tracker.rekey(keys)

    def next_deadline(self) -> float | None:
        """When `advance` has something to do, Unix seconds; None: not before the next signal."""
        return self._tracker.next_deadline()

    def resume(self, stays: Sequence[OpenStay], t_s: float) -> Outcome:
        """Take up what was open at the last stop; a stay that nobody may know of any more ends silently."""
        outcome = Outcome()
        kept = []
        for stay in stays:
            self._written.add((stay.subject, stay.zone))
            if self._register.admits(stay.subject, t_s):
                kept.append(stay)
            else:
                self._close(stay.subject, stay.zone, outcome)
        self._screen_all(self._tracker.resume(kept, t_s), outcome)
        return outcome

    def _consent(self, signal: ConsentSignal, outcome: Outcome) -> None:
        touched = self._register.absorb(signal.records, complete=signal.complete)
        self._screen.know(touched)
        for subject in sorted(touched):
            if not self._register.admits(subject, self._now_s):
                self._tracker.forget(subject)
                outcome.withdrawn.append(subject)
                for key in sorted(k for k in self._written if k[0] == subject):
                    self._close(*key, outcome)

    def _screen_all(self, presences: list[Presence], outcome: Outcome) -> None:
        for presence in presences:
            if self.watch is not None:
                self.watch(presence)
            outcome.releases += self._screen.releases(presence)
            stay = presence.stay
            if stay is None:
                self._close(presence.subject, presence.zone, outcome)
            elif self._screen.concerns_anybody(stay.subject, stay.zone, presence.emitted_s):
                self._written.add((stay.subject, stay.zone))
                outcome.stays.append(stay)

    def _close(self, subject: str, zone: str, outcome: Outcome) -> None:
        if (subject, zone) in self._written:
            self._written.discard((subject, zone))
            outcome.stays.append(StayClosed(subject, zone))
