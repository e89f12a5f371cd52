"""What the daemon learns while it runs: identity keys read again, and receivers of other makers that are gone."""

from __future__ import annotations

import asyncio
import signal

import msgspec
import paho.mqtt.client as paho
from daemons import TAG, Place, consent, heard, platform, sender, until
from paho.mqtt.enums import CallbackAPIVersion
from test_identity_resolvable import IRK, OTHER, address

ENROLLED = (
    consent("anna", "irk:anna-phone"),
    consent("tag", TAG.format(n=1)),
)


async def test_sighup_reads_identity_keys_again(place: Place) -> None:
    keys = place.folder / "identity-keys.yaml"
    settings = place.config / "gateway.yaml"
    settings.write_text(settings.read_text() + f"identity_keys: {keys}\n")

    def written(text: str) -> None:
        keys.write_text(text)
        keys.chmod(0o600)

    written(f'irk: {{tom-phone: "{OTHER.hex()}"}}\n')
    async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
        await daemon.ready()

        async def anna_stands(seconds: float) -> None:
            for _ in range(round(seconds / 0.2)):
                element = {"address": address(1), "address_type": "random", "rssi": -45, "adv": ""}
                await heard(s, "pi-01", element)
                await asyncio.sleep(0.2)

        await anna_stands(2)
        written("irk: {anna-phone: no key}\n")
        daemon.process.send_signal(signal.SIGHUP)
        await daemon.says("what was read before holds on")
        written(f'irk: {{anna-phone: "{IRK.hex()}"}}\n')
        daemon.process.send_signal(signal.SIGHUP)
        await daemon.says("identity keys taken over: 1 irk, 0 eid, 0 bind")
        assert not at.events
        await anna_stands(3)
        await until(lambda: at.zone_changes("cereals")[:1] == ["entered"])
        await daemon.stop()
    log = place.log.read_text()
    assert not [
        secret for secret in (IRK.hex(), OTHER.hex(), "anna-phone", "tom-phone", address(1)) if secret in log
    ]
    assert place.counted()["identity"]["rpa_foreign"] == 1
    assert place.counted()["identity"]["rpa_resolved"] == 1


async def test_the_last_will_of_another_makers_receiver(place: Place) -> None:
    """A Tasmota that loses its connection: the broker publishes what it left behind."""
    settings = place.config / "gateway.yaml"
    settings.write_text(settings.read_text().replace("[generic-raw,", "[tasmota, generic-raw,"))
    async with place.daemon() as daemon, sender(place) as s:
        await daemon.ready()
        tasmota = paho.Client(CallbackAPIVersion.VERSION2, "tasmota")
        tasmota.will_set("tele/pi-01/LWT", b"Offline", retain=True)
        tasmota.connect(place.broker.host, place.broker.port)
        tasmota.loop_start()
        tasmota.publish("tele/pi-01/LWT", b"Online", retain=True)
        heard_ = msgspec.json.encode({"IBEACON_C3000025EF6A": {"RSSI": -60}})
        tasmota.publish("tele/pi-01/SENSOR", heard_, qos=1).wait_for_publish(5)
        connected = tasmota.socket()
        assert connected is not None
        tasmota.loop_stop()
        connected.close()  # without a word
        await s.publish("tele/elsewhere/LWT", b"Offline")
        await asyncio.sleep(2)
        await daemon.stop()
    assert place.counted()["receivers"] == {"alive": 1, "dead": 1, "unknown": 1}
    assert place.counted()["profiles.tasmota"] == {"matched": 1}
