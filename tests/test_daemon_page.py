"""The page of a running gateway, over HTTP: what is on it, what is not, and that it needs no browser to be right."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from typing import Any

import httpx
import pytest
from daemons import TAG, Place, arrival, consent, drove, heard, raw, sender, until
from mosquitto import free_port
from prometheus_client.parser import text_string_to_metric_families

from gateway.mqtt import Connection

pytestmark = pytest.mark.timeout(90)

TOKEN = "the-token-of-this-test"  # noqa: S105
OPERATOR = {
    "record_id": "anna/c-9", "version": 1, "status": "ConsentGiven", "purposes": ["dpv:ServiceOptimisation"],
    "recipients": ["operator"], "zones": "all", "event_time": "2020-01-01T00:00:00Z",
}  # fmt: skip


class Pages:
    """The page of one place, asked with the token."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.AsyncClient(base_url=self.url, auth=("operator", TOKEN), trust_env=False)

    async def __aenter__(self) -> Pages:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def get(self, path: str, **headers: str) -> str:
        answer = await self.client.get(path, headers=headers)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.text

    async def journey(self, subject: str) -> str:
        return (await self.client.post("/journey", data={"subject": subject})).text

    async def until(self, path: str, words: str, *, gone: bool = False) -> str:
        """The page as soon as these words are on it, or are `gone`."""
        for _ in range(300):
            said = await self.get(path)
            if (words in said) != gone:
                return said
            await asyncio.sleep(0.1)
        raise AssertionError(f"{words} (gone: {gone}): {said}")


ANNA = consent("anna", TAG.format(n=1), "vehicle:fleet/golf")
ANNA["consents"].append(OPERATOR)
ENROLLED = (ANNA, consent("ben", TAG.format(n=2), "vehicle:fleet/polo"))


def offered(place: Place, page: str = "") -> Pages:
    port = free_port()
    (place.config / "token").write_text(TOKEN + "\n")
    (place.config / "token").chmod(0o600)
    shows = "shows: {purpose: 'dpv:ServiceOptimisation', legal_basis: l}"
    with (place.config / "gateway.yaml").open("a") as settings:
        settings.write(f"page: {{listen: '127.0.0.1:{port}', {page or 'token: token, ' + shows}}}\n")
    return Pages(port)


async def both_park_and_shop(sending: Connection) -> None:
    """Anna and Ben park, and stand at the cereals."""
    t0_s = time.time() - 45
    for car in ("golf", "polo"):
        for t_s, lat, speed_kmh in arrival(t0_s):
            await drove(sending, car, t_s, lat, vel=speed_kmh)
    for _ in range(25):
        await heard(sending, "pi-01", raw(1, -45), raw(2, -45, "c3:00:00:25:ef:6b"))
        await asyncio.sleep(0.2)


async def test_the_page_shows_who_agreed_to_it_and_nobody_else(place: Place) -> None:
    async with offered(place) as pages, place.daemon() as daemon, sender(place) as s:
        await daemon.says("page: up")
        await daemon.ready()
        stream: list[dict[str, Any]] = []
        reading = asyncio.create_task(_read(pages, stream))
        await both_park_and_shop(s)
        page = await pages.until("/", "<b>cereals</b> entered")
        german = await pages.get("/", **{"accept-language": "de-DE,de;q=0.9"})
        anna, ben, nobody = [await pages.journey(subject) for subject in ("anna", "ben", "x<y>")]
        metrics = await pages.get("/metrics")
        state = await pages.get("/readyz") + await pages.get("/healthz")
        await until(lambda: any(news.get("counts", {}).get("cereals") == 1 for news in stream))
        reading.cancel()
        await daemon.stop()
    assert re.search(r"<td>car-park</td><td>car park</td><td>1</td>", page), "one of the two agreed"
    assert 'lang="de"' in german
    assert "Wer ist wo" in german
    assert state == "ready\nok\n"
    assert "car-park" in anna
    assert "cereals" in anna
    assert ben == nobody, "the answer does not tell who is enrolled"
    assert "<li>" not in ben
    told = [page, german, metrics, json.dumps(stream), daemon.said()]
    traces = ["anna", "ben", "golf", "polo", TAG.format(n=1)[8:20], "c3:00:00", TOKEN]
    assert [(trace, text[:80]) for text in told for trace in traces if trace in text] == []
    assert "x&lt;y&gt;" not in nobody
    samples = {s.name: s for family in text_string_to_metric_families(metrics) for s in family.samples}
    assert samples["gateway_ready"].value == 1
    assert samples["gateway_consent_subjects"].value == 2
    assert "dpv:" not in metrics


async def _read(pages: Pages, news: list[dict[str, Any]]) -> None:
    async with pages.client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                news.append(json.loads(line[6:]))


async def test_each_look_at_a_journey_is_in_the_audit_log(place: Place) -> None:
    async with offered(place) as pages, place.daemon() as daemon, sender(place) as s:
        await daemon.says("page: up")
        await daemon.ready()
        await both_park_and_shop(s)
        for subject in ("anna", "anna", "ben"):
            await pages.journey(subject)
        await daemon.stop()
    lines = [line for file in (place.state / "audit").iterdir() for line in file.read_text().splitlines()]
    assert sum('"shown"' in line for line in lines) == 3  # ben too, of whom nothing was to be seen


async def test_a_withdrawal_empties_the_page_at_once(place: Place) -> None:
    async with offered(place) as pages, place.daemon() as daemon, sender(place) as s:
        await daemon.says("page: up")
        await daemon.ready()
        await both_park_and_shop(s)
        await pages.until("/", "<td>car-park</td>")
        place.enrol(consent("anna", TAG.format(n=1), status="ConsentWithdrawn") | {"version": 2})
        daemon.process.send_signal(signal.SIGHUP)
        await pages.until("/", "<td>car-park</td>", gone=True)
        assert "<li>" not in await pages.journey("anna")
        assert "<b>" not in (await pages.get("/")).split('id="ticker"')[1].split("</section>")[0]
        await daemon.stop()


async def test_without_a_purpose_nobody_is_shown(place: Place) -> None:
    async with offered(place, "token: token") as pages, place.daemon() as daemon, sender(place) as s:
        await daemon.says("page: up")
        await daemon.ready()
        await both_park_and_shop(s)
        page = await pages.get("/")
        assert (await pages.client.post("/journey", data={"subject": "anna"})).status_code == 404
        await daemon.stop()
    assert "<b>" not in page
    assert "page: shows" in page


@pytest.mark.parametrize(
    "wrong", ["- subject: anna-secret\n  version: one\n", "-\n  anna-secret: {version: 1}\n"]
)
async def test_what_was_wrong_with_the_last_reload_is_on_it_and_in_the_state(
    place: Place, wrong: str
) -> None:
    states: list[dict[str, Any]] = []
    async with offered(place) as pages, place.daemon() as daemon, sender(place) as s:
        s._subscriptions = [("presence/v1/test/gw/state", 1)]
        s._on_message = lambda message: states.append(json.loads(message.payload))
        assert s._client is not None
        await s._client.subscribe("presence/v1/test/gw/state", qos=1)
        await daemon.says("page: up")
        (place.config / "consent.yaml").write_text(wrong)
        daemon.process.send_signal(signal.SIGHUP)
        page = await pages.until("/", "consent.yaml:2")
        await until(lambda: bool(states) and states[-1].get("health", {}).get("reload_failed", False))
        await daemon.stop()
    assert "anna-secret" not in page
    assert states[-1] == {"alive": False} or states[-1]["health"]["consent"] == "confirmed"


async def test_a_gateway_works_without_its_port_and_without_a_page(place: Place) -> None:
    async with offered(place, "token: token") as pages:
        taken = int(pages.url.rpartition(":")[2])
        squatter = await asyncio.start_server(lambda *_: None, "127.0.0.1", taken)
        async with place.daemon() as daemon:
            await daemon.says("page: down")
            await daemon.ready()
            await daemon.stop()
        squatter.close()
    settings = (place.config / "gateway.yaml").read_text()
    (place.config / "gateway.yaml").write_text(re.sub(r"page: .*", "page: {listen: 'off'}", settings))
    async with place.daemon() as daemon:
        await daemon.ready()
        await daemon.stop()
        assert "page:" not in daemon.said()


async def test_a_reader_learns_that_the_map_is_another(place: Place) -> None:
    async with offered(place) as pages, place.daemon() as daemon:
        await daemon.says("page: up")
        await daemon.ready()
        async with asyncio.timeout(60), pages.client.stream("GET", "/events") as answer:
            lines = answer.aiter_lines()
            await anext(lines)  # it is being read
            path = place.config / "site.yaml"
            path.write_text(path.read_text().replace("cereals", "muesli"))
            daemon.process.send_signal(signal.SIGHUP)
            assert "event: map" in [line async for line in lines]  # which end by themselves
        assert "muesli" in await pages.get("/")
        await daemon.stop()


async def test_a_stop_does_not_wait_for_readers(place: Place) -> None:
    async with offered(place) as pages, place.daemon() as daemon:
        await daemon.says("page: up")
        await daemon.ready()
        reading = asyncio.create_task(_read(pages, []))
        await asyncio.sleep(1)
        assert await daemon.stop() < 15
        assert "Traceback" not in daemon.said()
    await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("listen: '0.0.0.0:8780'", "beyond this machine it needs a token"),
        ("listen: 'here'", "expected an address and a port"),
        ("listen: '::1:8780'", "expected an address and a port"),
        ("listen: '127.0.0.1:99999'", "expected an address and a port"),
        ("token: 'not a file'", "a token is never written here"),
    ],
)
async def test_settings_that_cannot_serve(place: Place, page: str, words: str) -> None:
    with (place.config / "gateway.yaml").open("a") as settings:
        settings.write(f"page: {{{page}}}\n")
    async with place.daemon() as daemon:
        assert await daemon.process.wait() == 78
        assert words in daemon.said()


async def test_a_token_that_can_be_guessed(place: Place) -> None:
    async with offered(place, "token: token"):
        (place.config / "token").write_text("1234\n")
    async with place.daemon() as daemon:
        assert await daemon.process.wait() == 78
        assert "shorter than 16 letters" in daemon.said()
        assert "1234" not in daemon.said()
