"""What was decided, as an auditor reads it: one line a decision class and window, and one for each act.

Nobody can be found in these lines: decisions are numbers, and an act names its subject by HMAC only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

WINDOW_S = 900.0

Act = Literal["withdrawn", "erased", "granted", "exported", "shown"]


class _Line(Struct, frozen=True, tag_field="kind", kw_only=True):
    t: float
    """Unix seconds of pipeline time."""


class Decisions(_Line, frozen=True, tag="decisions"):
    """How often one recipient was given, or denied, something in the window that ends at `t`."""

    since: float
    """The window's beginning: `t` less the window, or later after a start; `t` earlier at a stop."""
    recipient: str
    purpose: str
    """Empty where the recipient has no purpose for it."""
    verdict: str
    """`released`, or the reason of the denial."""
    n: int
    changes: dict[str, int]
    """`n` by the change that was decided about."""


class Started(_Line, frozen=True, tag="started"):
    """Without a `stopped` before it the gateway was cut off, and its last window has no line."""

    version: str
    """Of this program."""
    policy: str
    """`policyversion` of the events."""


class Stopped(_Line, frozen=True, tag="stopped"):
    pass


class FeedChanged(_Line, frozen=True, tag="feed"):
    doubt: str
    """Why the consents held are not believed; empty: they are again."""


class CarriedOut(_Line, frozen=True, tag="act"):
    """Something was done at the wish of one subject."""

    act: Act
    subject: str
    """`Keys.subject_key(...).hex()`: who has the key and the subject's name finds it, nobody else."""
    removed: dict[str, int] = field(default_factory=dict)
    """What went, by where it lay: `queued`, `open_stays`, `recordings`, …"""


class Purged(_Line, frozen=True, tag="purged"):
    """Queued events went without a subject's wish."""

    reason: Literal["expired", "capped"]
    n: int


Entry = Decisions | Started | Stopped | FeedChanged | CarriedOut | Purged


class Tally:
    """Collects what was decided until it is due. Pure: the same calls give the same lines.

    Windows are aligned to multiples of `window_s` since 1970, so that those of all gateways are the same. A
    moment earlier than the running window (a courier's clock may lag) counts in the running one.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._since_s = self._end_s = -math.inf
        self._counted: dict[tuple[str, str, str, str], int] = {}
        """By recipient, purpose, verdict and change; as many as the settings can make."""
        self._due: list[Entry] = []
        self._doubt: str | None = None

    def note(self, recipient: str, purpose: str, change: str, verdict: str, t_s: float) -> None:
        """One decision; on the hot path."""
        if t_s >= self._end_s:
            self._turn(t_s)
        key = (recipient, purpose, verdict, change)
        try:
            self._counted[key] += 1
        except KeyError:
            self._counted[key] = 1

    def started(self, version: str, policy: str, t_s: float) -> None:
        self._act(Started(t=t_s, version=version, policy=policy))

    def feed(self, doubt: str, t_s: float) -> None:
        """How far the feed is believed now; only a change is a line."""
        if doubt != self._doubt:
            self._doubt = doubt
            self._act(FeedChanged(t=t_s, doubt=doubt))

    def carried_out(
        self, act: Act, subject_key: bytes, t_s: float, removed: Mapping[str, int] | None = None
    ) -> None:
        """`subject_key`: `Keys.subject_key(subject)`, never the subject itself."""
        self._act(CarriedOut(t=t_s, act=act, subject=subject_key.hex(), removed=dict(removed or {})))

    def purged(self, reason: Literal["expired", "capped"], n: int, t_s: float) -> None:
        if n:
            self._act(Purged(t=t_s, reason=reason, n=n))

    def due(self, t_s: float) -> list[Entry]:
        """Acts at once, decisions when their window is over; each line is handed out once."""
        if t_s >= self._end_s:
            self._turn(t_s)
        lines, self._due = self._due, []
        return lines

    def stop(self, t_s: float) -> list[Entry]:
        """Everything, the running window cut short, and that this was a stop."""
        lines = self.due(t_s)
        self._close(max(t_s, self._since_s))
        lines += [*self._due, Stopped(t=t_s)]
        self._due = []
        return lines

    def next_deadline(self) -> float | None:
        """When `due` has something to say; None: not before the next note."""
        if self._due:
            return self._due[0].t
        return self._end_s if self._counted else None

    def _act(self, line: Entry) -> None:
        if line.t >= self._end_s:
            self._turn(line.t)
        self._due.append(line)

    def _turn(self, t_s: float) -> None:
        first = self._since_s == -math.inf
        self._close(self._end_s)
        start_s = t_s // self._window_s * self._window_s
        self._since_s = t_s if first else start_s
        self._end_s = start_s + self._window_s

    def _close(self, end_s: float) -> None:
        classes: dict[tuple[str, str, str], dict[str, int]] = {}
        for (recipient, purpose, verdict, change), n in sorted(self._counted.items()):
            classes.setdefault((recipient, purpose, verdict), {})[change] = n
        self._counted.clear()
        for (recipient, purpose, verdict), changes in classes.items():
            self._due.append(
                Decisions(
                    t=end_s,
                    since=self._since_s,
                    recipient=recipient,
                    purpose=purpose,
                    verdict=verdict,
                    n=sum(changes.values()),
                    changes=changes,
                )
            )
