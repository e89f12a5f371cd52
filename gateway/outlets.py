"""The ways out that the settings ask for: connections to brokers, webhooks, a courier for each recipient."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final

from gateway.access import endpoint_of, partner_of
from gateway.assembly import Assembly
from gateway.errors import NotConnectedError, RefusedError, StoreError
from gateway.links import Link
from gateway.model import PLATFORM
from gateway.outbox import Outbox
from gateway.sinks import Sink
from gateway.sinks.courier import Courier
from gateway.sinks.http import WebhookSink
from gateway.sinks.mqtt import MqttSink, Uplink
from gateway.sinks.questions import Questions
from gateway.sources import Clock

FAREWELL_S: Final = 1.5
"""How long a clean stop lets the couriers carry what is queued, and then the state be said."""


class Outlets:
    """Started by `start`, ended by cancelling its tasks after `farewell`."""

    def __init__(
        self,
        assembly: Assembly,
        outbox: Outbox,
        clock: Clock,
        *,
        state: Callable[[bool], bytes],
        questions: Questions,
    ) -> None:
        """`state(alive)`: what is retained on the state topic. ConfigError for a secret that cannot serve."""
        self._assembly, self._outbox, self._clock = assembly, outbox, clock
        self._uplinks = list(self._make_uplinks(state, questions))
        webhooks = dict(self._make_webhooks())
        self._webhooks = list(webhooks.values())
        self.couriers = [courier for uplink in self._uplinks for courier in uplink.couriers.values()]
        self.couriers += [self._courier(name, sink) for name, sink in webhooks.items()]

    @property
    def links(self) -> list[Link]:
        """To brokers and webhooks."""
        return [*(uplink.link for uplink in self._uplinks), *(webhook.link for webhook in self._webhooks)]

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[Any]]:
        ways = [way.run() for way in self._uplinks] + [way.run() for way in self._webhooks]
        return [group.create_task(run) for run in (*ways, *(courier.run() for courier in self.couriers))]

    def restate(self) -> None:
        """Something in the retained state has changed."""
        for uplink in self._uplinks:
            uplink.restate()

    async def farewell(self) -> None:
        """A moment for what is queued, if somebody could take it; what remains stays on disk."""
        up = [uplink for uplink in self._uplinks if uplink.link.state == "up"]
        try:
            async with asyncio.timeout(FAREWELL_S if any(link.state == "up" for link in self.links) else 0):
                while any((await self._outbox.backlog()).values()):  # noqa: ASYNC110 - the disk knows
                    await asyncio.sleep(0.05)
        except (TimeoutError, StoreError):
            pass
        for uplink in up:
            try:
                async with asyncio.timeout(FAREWELL_S):
                    await uplink.say(alive=False)
            except (TimeoutError, NotConnectedError, RefusedError):
                continue

    def _make_uplinks(self, state: Callable[[bool], bytes], questions: Questions) -> Iterator[Uplink]:
        settings, site = self._assembly.settings, self._assembly.site
        for name in settings.brokers:
            recipients = {r: s for r, s in settings.recipients.items() if s.via == name}
            if not recipients:
                continue
            uplink = Uplink(
                endpoint_of(settings, name),
                f"{site.site}-{settings.gateway.id}-{name}-out",
                site=site.site,
                gateway=settings.gateway.id,
                acknowledging=[r for r, s in recipients.items() if s.ack == "platform"],
                state=state,
                questions=questions if PLATFORM in recipients else None,
            )
            for recipient in recipients:
                uplink.couriers[recipient] = self._courier(recipient, MqttSink(uplink, recipient))
            yield uplink

    def _make_webhooks(self) -> Iterator[tuple[str, WebhookSink]]:
        settings = self._assembly.settings
        source = f"/sites/{self._assembly.site.site}/gateways/{settings.gateway.id}"
        for name, recipient in settings.recipients.items():
            if recipient.webhook is not None:
                yield name, WebhookSink(partner_of(name, recipient.webhook), source)

    def _courier(self, recipient: str, sink: Sink) -> Courier:
        wanted = self._assembly.settings.recipients[recipient]
        return Courier(
            recipient,
            "puback" if wanted.webhook else wanted.ack,
            sink=sink,
            outbox=self._outbox,
            screen=self._assembly.screen,
            clock=self._clock,
            counts=self._assembly.counts,
            backlog_per_s=wanted.backlog_per_s,
        )
