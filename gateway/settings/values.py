"""What a value of gateway.yaml must be, beyond its type.

Each function gives the value, or raises ValueError with what is wrong and what would be right."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from gateway.links import LOOPBACK
from gateway.located import did_you_mean
from gateway.model import EVIDENCE_KEYS, FIELDS


def not_empty(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise ValueError("an empty list permits nothing; name one or leave the key out")
    return items


def a_purpose(purposes: dict[str, Any]) -> dict[str, Any]:
    if not purposes:
        raise ValueError("without a purpose nothing is released")
    return purposes


def data_field(text: str) -> str:
    if text in FIELDS:
        return text
    if text == "evidence":
        keys = ", ".join(sorted(EVIDENCE_KEYS))
        raise ValueError(f"evidence is listed key by key, such as evidence.rssi_dbm; there are {keys}")
    plain = [name for name in FIELDS if "." not in name]
    hint = did_you_mean(text, FIELDS)
    raise ValueError(f"expected {', '.join(plain)} or evidence.<key>, got '{text}'{hint}")


def zone_form(zones: Any) -> str:
    return "all" if isinstance(zones, str) else "some"


def https(url: str) -> str:
    wanted = "expected an address such as https://platform.example.org/consents"
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError(wanted) from None
    if not is_address or not url.isascii() or not url.isprintable() or " " in url or parts.fragment:
        raise ValueError(wanted)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("this is personal data: https, except on this machine itself")
    return url


def part_of_a_day(window_s: float) -> float:
    if not 60 <= window_s <= 86_400 or 86_400 % window_s:
        raise ValueError("expected a window of 1min to 1d that a day is a whole number of, such as 15min")
    return window_s


def a_minute_to_a_day(window_s: float) -> float:
    if not 60 <= window_s <= 86_400:
        raise ValueError("expected a window of 1min to 1d")
    return window_s


def at_most_5_s(delay_s: float) -> float:
    if delay_s > 5:
        raise ValueError("expected at most 5s: so long an event would wait in memory")
    return delay_s


def adapter_address(text: str) -> str:
    if text == "auto" or re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", text):
        return text if text == "auto" else text.upper()
    hint = "; which number an adapter gets may change at each start" if text.startswith("hci") else ""
    raise ValueError(f"expected auto, or an adapter's address as `bluetoothctl list` shows it{hint}")


def each_once(adapters: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(adapters)) < len(adapters) or ("auto" in adapters and len(adapters) > 1):
        raise ValueError("auto stands alone, and each address once: an adapter has one scan")
    return adapters


def host(name: str) -> str:
    """Of a broker: a name or an address alone."""
    bare = name.removeprefix("[").removesuffix("]")
    if "/" in name or (":" in name and bare.count(":") < 2):
        raise ValueError("expected a name or an address alone; the port is `port`, and encryption is `tls`")
    return name
