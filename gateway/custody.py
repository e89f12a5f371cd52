"""What the daemon does beside the pipeline so that a withdrawal holds: bars, sweeps, audit log, clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn

from gateway import __version__
from gateway.assembly import Assembly
from gateway.audit import AuditLog
from gateway.clock import PipelineClock
from gateway.consent.bars import Withdrawal
from gateway.consent.tally import Act, Entry
from gateway.counts import Counts
from gateway.errors import StoreError
from gateway.identity import Identification
from gateway.lanes import Lanes
from gateway.lapses import Lapses
from gateway.model import ClockTrust, ObjectionSignal
from gateway.outbox import Outbox
from gateway.recorder import StillAdmitted, enrolled_line
from gateway.recordings import Part
from gateway.sinks.courier import Courier
from gateway.sweep import Sweep
from gateway.synchronisation import synchronised

AUDIT_S = 1.0
CLOCK_S = 10.0
MOVED_S = 5.0
"""A wall clock that is off by more was moved, and is not only a little quicker than the monotonic one."""

_log = logging.getLogger("gateway.custody")


class Custody:
    """Use `async with`, then `run` as a task. StoreError when the audit log cannot be opened."""

    def __init__(self, assembly: Assembly, outbox: Outbox, lanes: Lanes, clock: PipelineClock) -> None:
        self._assembly = assembly
        self._outbox = outbox
        self._lanes = lanes
        self._clock = clock
        settings = assembly.settings
        self.sweep = Sweep(outbox, settings.gateway.state_dir, self._part)
        self._lapses = Lapses(outbox, assembly.screen, clock)
        self.couriers: Collection[Courier] = ()
        """Who may have something under way."""
        self._audit = AuditLog(
            settings.gateway.state_dir / "audit",
            assembly.keys.audit_mac,
            max_bytes=settings.audit.max_mb << 20,
            keep_s=settings.audit.keep,
        )
        self._breaking: set[asyncio.Task[None]] = set()
        self._expected: dict[bytes, asyncio.Event] = {}

    async def __aenter__(self) -> Custody:
        await asyncio.to_thread(self._audit.__enter__)
        tally = self._assembly.tally
        tally.started(__version__, self._assembly.screen.policy_version, self._clock())
        for key, bar in await self._outbox.bars():
            self._assembly.register.bar(key, bar)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._tell(self._assembly.tally.stop(self._clock()))
        await asyncio.to_thread(self._audit.__exit__, *exc)

    async def run(self) -> NoReturn:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sweep.run())
            group.create_task(self._lapses.run())
            group.create_task(self._keep_audit())
            if self._assembly.settings.gateway.clock.trust == "kernel":
                group.create_task(self._watch_clock())
        raise AssertionError("its tasks never end")

    def heed(self, withdrawals: Sequence[Withdrawal]) -> None:
        """Before they are committed: what is under way of these subjects must not stay under way."""
        keys = {withdrawal.key for withdrawal in withdrawals}
        for courier in self.couriers:
            task = asyncio.create_task(courier.withdraw(keys))
            self._breaking.add(task)
            task.add_done_callback(self._breaking.discard)

    async def object(self, signal: ObjectionSignal) -> None:
        """Returns when the objection is through the pipeline and committed."""
        committed = self._expected.setdefault(
            self._assembly.screen.subject_key(signal.subject), asyncio.Event()
        )
        self._lanes.control(signal)
        await committed.wait()

    def carried_out(self, withdrawals: Sequence[Withdrawal], removed: int) -> None:
        """They are committed: the rest is swept, and what was news is told."""
        self.sweep.ask()
        for withdrawal in withdrawals:
            if (committed := self._expected.pop(withdrawal.key, None)) is not None:
                committed.set()
        news = [w for w in withdrawals if w.was_admitted or w.is_erasure]
        for withdrawal in news:
            act: Act = "erased" if withdrawal.is_erasure else "withdrawn"
            gone = {"queued": removed} if len(withdrawals) == 1 else {}
            self._assembly.tally.carried_out(act, withdrawal.key, self._clock(), gone)

    async def flush(self) -> None:
        """What was decided and done up to now is in the audit log, as far as it is due."""
        await self._tell(self._assembly.tally.due(self._clock()))

    async def _keep_audit(self) -> NoReturn:
        while True:
            await asyncio.sleep(AUDIT_S)
            self._assembly.tally.feed(self._assembly.register.doubt(self._clock()) or "", self._clock())
            await self.flush()

    async def _tell(self, entries: list[Entry]) -> None:
        if entries:
            try:
                await asyncio.to_thread(self._audit.append, entries)
            except StoreError as error:
                self._assembly.counts.count("audit", "write_failed")
                _log.error("%s", error)

    async def _watch_clock(self) -> NoReturn:
        trusted, has_moved = True, False
        while True:
            await asyncio.sleep(CLOCK_S)
            if await synchronised() != trusted:
                trusted = not trusted
                _log.warning("clock: %s", "synchronised again" if trusted else "no longer synchronised")
                self._lanes.control(ClockTrust(self._clock(), trusted))
            if trusted:
                has_moved = self._follow_clock(has_moved)

    def _follow_clock(self, has_moved: bool) -> bool:
        """Pipeline time after a wall clock that was put right; whether it still has some way to go."""
        drift_s = self._clock.follow()
        if not has_moved and abs(drift_s) > MOVED_S:
            _log.warning("clock: moved by %+.0f s; the time of events follows, by 6 s a minute", drift_s)
        if has_moved and abs(drift_s) < MOVED_S / 5:
            _log.info("clock: the time of events is right again")
        return abs(drift_s) >= (MOVED_S / 5 if has_moved else MOVED_S)

    def _part(self) -> Callable[[], Part] | None:
        """What of a recording may stay: lines of those who are admitted now. Made anew for each, since it
        remembers what it has read.

        A feed that has fallen silent has said who that was; one that has confirmed nothing yet has not.
        """
        assembly, now_s = self._assembly, self._clock()
        if assembly.register.doubt(now_s) not in (None, "stale"):
            return None
        enrolment = StillAdmitted(assembly.register.admitted_identities(now_s))

        def of_one_recording() -> Part:
            identification = Identification(
                assembly.site, assembly.profiles, enrolment, Counts(), assembly.identity_keys
            )
            return lambda line: enrolled_line(identification, enrolment, line)

        return of_one_recording
