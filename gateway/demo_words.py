"""What the demo says to somebody who sees the gateway for the first time, on a terminal of 100 columns."""

from __future__ import annotations

from collections import Counter
from typing import Final, TextIO
from zoneinfo import ZoneInfo

from gateway.model import CHANGES, SiteMap
from gateway.sim.subscriber import Event, Subscriber

INTRO: Final = """\
The presence gateway: raw signals in, consented presence events out.

A small shop with a car park is simulated. Phones' advertisement bytes and cars' positions go onto
an MQTT broker, the gateway daemon hears them there, and below are its events as their recipients
get them.

  card-1001  Anna   parks, shops, drives home; the parking operator may know of her car
  card-1002  Ben    shops
  card-1003  Clara  cuts across the car park without stopping
  card-1004  Dora   parks and shops, but withdrew her consent: nothing may be seen of her
  card-1005  Finn   shops, and agreed to the aisles and their shelves only
             Emil drives past, eight strangers shop: nobody enrolled them
"""
WANTED: Final = (
    ("shelf", ("entered", "dwelled", "left")),
    ("car_park", ("entering", "entered", "passed")),
)
"""What a complete demo has shown, by kind of zone."""


class Words:
    def __init__(self, site: SiteMap, out: TextIO) -> None:
        self.site = site
        self._out = out
        self._zone = ZoneInfo(site.timezone)
        self._seen: set[tuple[str, str]] = set()

    def introduce(self, port: int, rate: float) -> None:
        self._say(INTRO)
        self._say(f"Broker on 127.0.0.1:{port}; a second here is {rate:g} s in the shop; Ctrl-C stops.")

    def heading(self) -> None:
        self._say(
            f"\n{'time':8}  {'who':12} {'what':9} {'where':12} {'stayed':>8} {'sure':>6}   recipient\n"
            + "-" * 77
        )

    def event(self, event: Event) -> None:
        facts = event.data
        self._seen.add((facts.zone.kind, event.change))
        who = event.subject if len(event.subject) <= 12 else f"{event.subject[:11]}…"
        stayed_s = facts.threshold_s if event.change == "dwelled" else facts.dwell_s
        stayed = _span(stayed_s) if stayed_s and event.change in ("dwelled", "left", "passed") else ""
        sure = "" if facts.confidence is None else f"{100 * facts.confidence:.0f} %"
        moment = event.time.astimezone(self._zone)
        when = f"{moment:%H:%M:%S}" if event.recipient == "platform" else f"{moment:%H:%M}"
        where = facts.zone.name
        self._say(f"{when:8}  {who:12} {event.change:9} {where:12} {stayed:>8} {sure:>6}   {event.recipient}")

    def summarise(self, subscriber: Subscriber, counted: dict[str, dict[str, int]]) -> int:
        """The closing summary; 0 when nothing of `WANTED` is missing and every sequence is complete."""
        recipients = sorted(subscriber.events, key=lambda name: (name != "platform", name))
        by_change = {r: Counter(e.change for e in subscriber.events[r].values()) for r in recipients}
        self._row("\nevents", recipients)
        for change in (*CHANGES, "removed"):
            if any(by_change[r][change] for r in recipients):
                self._row(f"  {change}", [str(by_change[r][change] or "–") for r in recipients])
        gaps = {r: subscriber.missing(r) for r in recipients}
        self._row("sequence complete", ["no" if gaps[r] else "yes" for r in recipients])
        self._row("acknowledged", [self._acknowledged(subscriber, r) for r in recipients])
        dropped = counted.get("identity", {})
        unknown = dropped.get("unknown", 0) + counted.get("profiles", {}).get("not_mine", 0)
        self._say(
            "\nHeard, dropped at the first step and only counted:\n"
            f"  {unknown:,} advertisements and positions of devices that nobody enrolled\n"
            f"  {dropped.get('without_consent', 0):,} of a subject without consent"
        )
        lacking = [
            f"{c} ({kind})" for kind, changes in WANTED for c in changes if (kind, c) not in self._seen
        ]
        if lacking:
            self._say(f"\nNot seen: {', '.join(lacking)}.")
        return 1 if lacking or any(gaps.values()) or subscriber.unreadable else 0

    def _acknowledged(self, subscriber: Subscriber, recipient: str) -> str:
        number = subscriber.acknowledged.get(recipient)
        total = len(subscriber.events[recipient])
        return "by the broker" if number is None else f"{number} of {total}"

    def _row(self, name: str, cells: list[str]) -> None:
        self._say(f"{name:20}" + "".join(f"{cell:>18}" for cell in cells))

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d}" if minutes and rest else f"{minutes} min" if minutes else f"{rest} s"
