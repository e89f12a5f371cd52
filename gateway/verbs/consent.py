"""`gateway consent …`: one subject's rights, through the daemon where one runs, else on the store itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway import assembly, audit, control, lastmap
from gateway.assembly import Configuration
from gateway.clock import PipelineClock
from gateway.consent import ledger
from gateway.control import Request
from gateway.custody import Custody
from gateway.daemon import only_one
from gateway.desk import Desk
from gateway.errors import GatewayError
from gateway.lanes import Lanes
from gateway.model import ConsentSignal, ObjectionSignal
from gateway.pump import Pump
from gateway.verbs.live import hand_over


class Consents:
    """What the verbs do; each reads the configuration anew and says what it did."""

    def __init__(self, directory: Path) -> None:
        """ConfigError when the configuration is not valid."""
        self._configuration = lastmap.read_or_last(directory, logging.getLogger("gateway.map").warning)
        self._state_dir = self._configuration.settings.gateway.state_dir

    def show(self, subject: str) -> dict[str, Any]:
        return self._ask(Request("show", subject))

    def export(self, subject: str) -> dict[str, Any]:
        return self._ask(Request("export", subject))

    def withdraw(self, subject: str) -> dict[str, Any]:
        """First here, then in the consent file: from the first moment on nothing leaves."""
        report = self._ask(Request("withdraw", subject))
        if (path := self._file) is not None:
            report["file"] = self._change(lambda: ledger.withdraw(path, subject, time.time()))
        return report

    def erase(self, subject: str) -> dict[str, Any]:
        report = self._ask(Request("erase", subject))
        if (path := self._file) is not None:
            report["file"] = self._change(lambda: ledger.erase(path, subject))
        return report

    def grant(self, subject: str, wanted: ledger.Grant) -> dict[str, Any]:
        """GatewayError where consents come by a feed: who feeds them has to say it."""
        path = self._file
        if path is None:
            raise GatewayError(
                "consents come by a feed here and are granted where it comes from; "
                "`withdraw` and `erase` work here at once"
            )
        asked = {(term, name) for name, r in self._settings.recipients.items() for term in r.purposes}
        for purpose, recipient in [(p, r) for p in wanted.purposes for r in wanted.recipients]:
            if (purpose, recipient) not in asked:
                raise GatewayError(f"gateway.yaml has no recipient {recipient} with the purpose {purpose}")
        bar = self._ask(Request("show", subject)).get("bar") or {}
        above = max(bar.get("version", 0), bar.get("erased_version", 0))
        said: dict[str, Any] = {}
        self._change(
            lambda: said.update(record_id=ledger.grant(path, subject, wanted, time.time(), above)) or True
        )
        return said

    def verify_audit(self, witnessed: str | None = None) -> audit.Proof:
        """KeyUnusableError when the key that seals the log cannot be read."""
        keys = assembly.keys_of(self._settings)
        return audit.verify(self._state_dir / "audit", keys.audit_mac, witnessed=witnessed)

    def audit_of(self, subject: str) -> list[dict[str, object]]:
        keys = assembly.keys_of(self._settings)
        return list(audit.about(self._state_dir / "audit", keys.subject_key(subject)))

    @property
    def _settings(self) -> Any:
        return self._configuration.settings

    @property
    def _file(self) -> Path | None:
        consent = self._configuration.settings.consent
        return consent.feed.file if consent is not None else None

    def _change(self, change: Callable[[], bool]) -> bool:
        changed = change()
        if changed and control.is_running(self._state_dir):
            control.ask(self._state_dir, Request("reread"))
        return changed

    def _ask(self, request: Request) -> dict[str, Any]:
        if control.is_running(self._state_dir):
            return control.ask(self._state_dir, request)
        return asyncio.run(_without_daemon(self._configuration, request))


async def _without_daemon(configuration: Configuration, request: Request) -> dict[str, Any]:
    """The same on the store itself, which nobody else holds meanwhile."""
    logging.getLogger("gateway").setLevel(logging.WARNING)
    try:
        return await _on_the_store(configuration, request)
    finally:
        hand_over(configuration.settings.gateway.state_dir)


async def _on_the_store(configuration: Configuration, request: Request) -> dict[str, Any]:
    settings = configuration.settings
    with only_one(settings.gateway.state_dir):
        assembled = assembly.assemble(configuration, assembly.keys_of(settings))
        clock, lanes = PipelineClock(), Lanes(assembled.counts)
        async with assembly.outbox_of(settings, assembled.counts) as outbox:
            custody = Custody(assembled, outbox, lanes, clock)
            pump = Pump(lanes, assembled.pipeline, outbox, custody, clock)

            async def say(signal: ObjectionSignal) -> None:
                await pump.store(assembled.pipeline.feed([signal]))
                await custody.sweep.once()

            async with custody:
                records = tuple(configuration.consent_records)
                await pump.store(assembled.pipeline.feed([ConsentSignal(clock(), records, complete=True)]))
                desk = Desk(assembled, outbox, clock, say)
                if request.do == "show":
                    return msgspec.structs.asdict(await desk.show(request.subject))
                if request.do == "export":
                    return await desk.export(request.subject)
                return await desk.object(request.subject, erase=request.do == "erase")
