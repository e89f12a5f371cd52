"""The ways out that the settings ask for: connections to brokers, webhooks, a courier for each recipient."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from msgspec import Struct

from gateway.access import endpoint_of, partner_of
from gateway.assembly import Assembly
from gateway.errors import NotConnectedError, RefusedError, StoreError
from gateway.links import NOT_STARTED, Link
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


class Way(Struct, frozen=True):
    """To one recipient."""

    link: Link
    """To its broker, or its webhook."""
    courier: Courier

    def state(self) -> tuple[str, str]:
        """up or down, and why: where the way is up, the recipient may still refuse."""
        own = self.courier.link
        refuses = self.link.state == "up" and own.state == "down" and own.detail != NOT_STARTED
        link = own if refuses else self.link
        return link.state, link.detail


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
        self._webhooks = dict(self._make_webhooks())
        self.ways = {
            name: Way(uplink.link, courier)
            for uplink in self._uplinks
            for name, courier in uplink.couriers.items()
        }
        for name, sink in self._webhooks.items():
            self.ways[name] = Way(sink.link, self._courier(name, sink))
        self.couriers = [way.courier for way in self.ways.values()]

    @property
    def links(self) -> list[Link]:
        """To brokers and webhooks."""
        return list(dict.fromkeys(way.link for way in self.ways.values()))

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[Any]]:
        ways = [way.run() for way in self._uplinks] + [way.run() for way in self._webhooks.values()]
        return [group.create_task(run) for run in (*ways, *(courier.run() for courier in self.couriers))]

    def restate(self) -> None:
        """Something in the retained state has changed."""
        for uplink in self._uplinks:
            uplink.restate()

    async def farewell(self) -> None:
        """A moment for what is queued for whom it can reach; what remains stays on disk."""
        reached = [name for name, way in self.ways.items() if way.link.state == "up"]
        with contextlib.suppress(TimeoutError, StoreError):
            async with asyncio.timeout(FAREWELL_S):
                while not await self._outbox.is_empty(reached):  # noqa: ASYNC110 - the disk knows
                    await asyncio.sleep(0.05)
        up = [uplink for uplink in self._uplinks if uplink.link.state == "up"]
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
