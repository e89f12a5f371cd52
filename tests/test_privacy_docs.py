"""What the data protection officer reads is what the program does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from gateway import lapses
from gateway.cli_consent import consent
from gateway.consent.bars import KEPT_S
from gateway.consent.register import STATUSES, Denial
from gateway.consent.waiting import ROOM, WAIT_S
from gateway.desk import WITHIN_S
from gateway.outbox import Limits, quarantine
from gateway.sinks.courier import STALLED_S

TEXT = (Path(__file__).parent.parent / "docs" / "privacy.md").read_text()


def test_every_denial_has_its_row_and_no_row_is_invented() -> None:
    table = TEXT.split("## Who gets to know what")[1].split("\n\n")[2]
    named = set(re.findall(r"\| `(\w+)` \|$", table, flags=re.MULTILINE))
    assert named == set(get_args(Denial))


def test_every_status_that_denies_is_named() -> None:
    for status in STATUSES.keys() - {"ConsentWithdrawn", "ConsentExpired"}:
        assert f"`{status}`" in TEXT


def test_the_commands_that_prove_a_promise_exist() -> None:
    assert set(re.findall(r"`gateway consent (\w+)", TEXT)) <= set(consent.commands)
    for path in re.findall(r"pytest (?:-s )?(tests/\w+\.py)", TEXT):
        assert (Path(__file__).parent.parent / path).exists()


def test_the_figures_are_those_of_the_code() -> None:
    assert (KEPT_S, WITHIN_S, STALLED_S, ROOM) == (90 * 86_400, 60, 0.5, 10_000)
    assert (quarantine.KEPT_S, quarantine.KEPT) == (7 * 86_400, 2)
    assert (lapses.EVERY_S, Limits().keep_s) == (60, 30 * 86_400)
    assert dict(WAIT_S) == {"clock": 600, "unmatched": 60, "never_confirmed": 60}
