"""A changed configuration on a running gateway: what holds at once, what waits, what is refused, and that
no stay and no signal is lost by it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from daemons import SITE, TAG, Daemon, Place, Platform, consent, heard, platform, raw, sender, until

from gateway import lastmap
from gateway.errors import ConfigError
from gateway.mqtt import Connection
from gateway.watch import watch

pytestmark = pytest.mark.timeout(90)

DAIRY = "{id: dairy, kind: shelf, at: [27, 5], dwell: [2s], leave_after: 3s}"
MOVED = "{id: dairy, kind: shelf, at: [27, 8], dwell: [2s], leave_after: 3s}"


def draw(place: Place, old: str, new: str, file: str = "site.yaml") -> None:
    path = place.config / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


async def reload(place: Place, *options: str) -> tuple[int, str, str]:
    """Exit code and words of `gateway reload`."""
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "reload", "--config", str(place.config), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(done.communicate(), 30)
    assert done.returncode is not None
    return done.returncode, out.decode(), err.decode()


class Shoppers:
    """Anna stands at the cereals and Ben at the dairy; what they send is counted."""

    def __init__(self, sending: Connection) -> None:
        self._sending = sending
        self.sent = 0

    async def stand(self) -> None:
        while True:
            await heard(self._sending, "pi-01", raw(1, -45))
            await heard(self._sending, "pi-02", raw(2, -45, "c3:00:00:25:ef:6b"))
            self.sent += 2
            await asyncio.sleep(0.02)


@asynccontextmanager
async def standing(sending: Connection) -> AsyncIterator[Shoppers]:
    shoppers = Shoppers(sending)
    task = asyncio.create_task(shoppers.stand())
    try:
        yield shoppers
    finally:
        task.cancel()


def changes_of(at: Platform, zone: str) -> list[str]:
    return [change for change in at.zone_changes(zone) if change != "dwelled"]


async def test_one_zone_is_moved_and_the_stay_in_the_other_goes_on(place: Place) -> None:
    """Every signal that was sent is taken in."""
    async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
        await daemon.ready()
        async with standing(s) as shoppers:
            await until(lambda: changes_of(at, "cereals") == changes_of(at, "dairy") == ["entered"])
            draw(place, DAIRY, MOVED + "\n      - {id: eggs, kind: shelf, at: [15, 5]}")
            daemon.process.send_signal(signal.SIGHUP)
            await daemon.says("map taken over: zones changed: dairy; zones new: eggs")
            await until(lambda: changes_of(at, "dairy") == ["entered", "left", "entered"])
            await asyncio.sleep(0.5)
        await until(lambda: changes_of(at, "cereals") == ["entered", "left"])  # by silence, afterwards
        assert await daemon.stop() < 15
    stays = [e["data"] for e in at.events.values() if e["type"] == "presence.left.v1"]
    (cereals,) = (stay for stay in stays if stay["zone"]["id"] == "cereals")
    assert cereals["dwell_s"] >= 2
    counted = place.counted()
    assert counted["identity"] == {"enrolled": shoppers.sent}
    assert "lanes" not in counted


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("site.yaml", DAIRY, "{id: dairy, kind: shelve, at: [27, 5]}", "site.yaml:8:27: floors.ground.zones.dairy.kind"),
        ("site.yaml", "floors:", "floors: [", "a value is missing before this"),
        ("gateway.yaml", "zones: [car-park]", "zones: [carpark]", "unknown zone 'carpark'; did you mean car-park?"),
        ("consent.yaml", '"version": 1', '"version": 0', "0.version: must be at least 1"),
    ],
    ids=["a mistake", "no YAML", "a name of the settings", "the consent file"],
)  # fmt: skip
async def test_a_bad_candidate_changes_nothing_and_says_why(
    place: Place, file: str, old: str, new: str, words: str
) -> None:
    async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
        await daemon.ready()
        async with standing(s):
            await until(lambda: changes_of(at, "cereals") == ["entered"])
            if file != "site.yaml":
                draw(place, DAIRY, MOVED)
            draw(place, old, new, file)
            code, out, err = await reload(place) if file != "gateway.yaml" else await hung_up(daemon)
            assert code == 1
            assert words in err
            assert "taken over: zones" not in out + daemon.said()
            await daemon.says("the map holds on as it was")
            await asyncio.sleep(0.3)
            assert changes_of(at, "cereals") == ["entered"]
        await daemon.stop()


async def hung_up(daemon: Daemon) -> tuple[int, str, str]:
    """A broken gateway.yaml does not say where the gateway's socket is: only SIGHUP is left."""
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.says("the map holds on as it was")
    return 1, "", daemon.said()


async def test_the_effect_comes_within_a_second(place: Place) -> None:
    """The best of three: what else the machine does is not the gateway's fault."""
    async with place.daemon() as daemon:
        await daemon.ready()
        took_s = []
        for new in ("tea", "rice", "nuts"):
            draw(place, DAIRY, f"{DAIRY}\n      - {{id: {new}, kind: shelf, at: [15, 5]}}")
            began_s = time.monotonic()
            daemon.process.send_signal(signal.SIGHUP)
            await daemon.says(f"zones new: {new}")
            took_s.append(time.monotonic() - began_s)
            draw(place, f"\n      - {{id: {new}, kind: shelf, at: [15, 5]}}", "")
        await daemon.stop()
    assert min(took_s) <= 1.0


async def test_what_waits_for_a_restart_is_named(place: Place) -> None:
    async with place.daemon() as daemon:
        await daemon.ready()
        draw(
            place,
            "fields: [zone], changes: [entered, left]",
            "fields: [zone, since], changes: [entered]",
            "gateway.yaml",
        )
        draw(place, "id: test,", "id: other,")
        draw(place, DAIRY, MOVED)
        code, out, err = await reload(place)
        assert (code, err) == (0, "")
        assert out.splitlines() == [
            "consent.yaml taken over: 2 records",
            "map taken over: zones changed: dairy",
            "gateway.yaml: recipients.partner.purposes.dpv:ServiceProvision.changes was changed and waits for a restart",
            "gateway.yaml: recipients.partner.purposes.dpv:ServiceProvision.fields was changed and waits for a restart",
            "site.yaml: site.id was changed and waits for a restart",
        ]  # fmt: skip
        _, out, _ = await reload(place, "--json")
        report = json.loads(out)
        assert (report["taken"], report["problems"]) == (["consent.yaml taken over: 2 records"], [])
        assert len(report["waiting"]) == 3
        await daemon.stop()
    code, _, err = await reload(place)
    assert (code, "no gateway runs in" in err) == (1, True)


async def test_what_cannot_be_read_ends_nothing(place: Place) -> None:
    """A directory among the profiles, and one where the map was."""
    async with place.daemon() as daemon:
        await daemon.ready()
        (place.config / "profiles" / "own.yaml").mkdir(parents=True)
        code, _, err = await reload(place)
        assert (code, "expected a file, this is a directory" in err) == (1, True)
        (place.config / "profiles" / "own.yaml").rmdir()
        (place.config / "site.yaml").rename(place.config / "away.yaml")
        (place.config / "site.yaml").mkdir()
        code, _, err = await reload(place)
        assert (code, "site.yaml:1:1: expected a file" in err) == (1, True)
        (place.config / "site.yaml").rmdir()
        (place.config / "away.yaml").rename(place.config / "site.yaml")
        draw(place, DAIRY, MOVED)
        code, out, _ = await reload(place)
        assert (code, "map taken over: zones changed: dairy" in out) == (0, True)
        await daemon.stop()


async def test_a_saved_map_is_taken_over_where_the_settings_say_so(place: Place) -> None:
    draw(place, "clock: {trust: always}", "clock: {trust: always}, watch: true", "gateway.yaml")
    async with place.daemon() as daemon:
        await daemon.ready()
        draw(place, DAIRY, MOVED)
        await daemon.says("map taken over: zones changed: dairy")
        draw(place, MOVED, "{id: dairy")
        await daemon.says("the map holds on as it was")
        await daemon.stop()


# --- a start with a broken map ---


async def test_a_cold_start_with_a_broken_map_uses_the_last_one_and_says_so(place: Place) -> None:
    """Not so for who may know what: the consent that holds is that of the file."""
    async with place.daemon() as daemon:
        await daemon.ready()
        await daemon.stop()
    draw(place, DAIRY, "{id: dairy, kind: shelve, at: [27, 5]}")
    place.enrol(consent("anna", TAG.format(n=1)), consent("ben", TAG.format(n=2), status="ConsentWithdrawn"))
    async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
        await daemon.ready()
        said = daemon.said()
        assert "ERROR" in said
        assert "site.yaml:8:27: floors.ground.zones.dairy.kind" in said
        assert "the map has problems and is not used; this is the map of" in said
        async with standing(s):
            await until(lambda: changes_of(at, "cereals") == ["entered"])
        draw(place, "shelve", "shelf")
        code, out, err = await reload(place)
        assert (code, err) == (0, "")
        assert "map taken over: zones changed: dairy" in out
        await daemon.stop()
    assert changes_of(at, "dairy") == []


@pytest.mark.parametrize("file", ["gateway.yaml", "consent.yaml"])
async def test_settings_and_consents_have_no_earlier_copy(place: Place, file: str) -> None:
    async with place.daemon() as daemon:
        await daemon.ready()
        await daemon.stop()
    (place.config / file).write_text("- nonsense: [")
    with pytest.raises(ConfigError):
        lastmap.read_or_last(place.config, lambda _: None)
    draw(place, DAIRY, "{id: dairy")
    async with place.daemon() as daemon:
        assert await asyncio.wait_for(daemon.process.wait(), 20) == 78
    kept = (place.state / lastmap.NAME).read_bytes()
    assert set(json.loads(kept)) == {"site.yaml"}
    assert (place.state / lastmap.NAME).stat().st_mode & 0o777 == 0o600


def test_a_damaged_copy_is_none(place: Place) -> None:
    place.state.mkdir()
    draw(place, DAIRY, "{id: dairy")
    for junk in (b"", b"[]", b'{"site.yaml": "bm9uZQ=="}', b'{"../../site.yaml": ""}'):
        (place.state / lastmap.NAME).write_bytes(junk)
        with pytest.raises(ConfigError):
            lastmap.read_or_last(place.config, lambda _: None)


# --- noticing that a file was written ---


async def test_a_file_that_is_still_being_written_is_not_taken(tmp_path: Path) -> None:
    path, calls = tmp_path / "site.yaml", 0
    path.write_text(SITE)

    async def changed() -> None:
        nonlocal calls
        calls += 1

    task = asyncio.create_task(watch(lambda: [path], changed))
    for _ in range(8):
        await asyncio.sleep(0.1)
        with path.open("a") as file:
            file.write("# more\n")
    assert calls == 0
    await until(lambda: calls == 1)
    os.utime(path, ns=(0, 0))
    await until(lambda: calls == 2)
    path.unlink()
    await until(lambda: calls == 3)
    task.cancel()
