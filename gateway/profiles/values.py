"""Single JSON values, as strangers send them, to the values of the model. Each raises `RejectedError`."""

from __future__ import annotations

import math
import re
from datetime import datetime

from gateway.profiles.outcome import Outcome, RejectedError

Scalar = float | str | bool | None
"""What a leaf of a payload may be; JSON's whole numbers arrive as float."""

MAX_ADV_BYTES = 1650
"""Longest advertising data of one advertisement, Bluetooth Core 5.4, Vol 4 Part E §7.8.54."""
MAX_TEXT = 128
"""Longest name that may become part of an identity, in characters."""

MAX_PDUS = 64
_BEFORE_ADV = 8
"""Header and advertiser's address of a legacy advertising PDU, Bluetooth Core 5.4, Vol 6 Part B §2.3."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?(?:nan|inf|infinity)")
_MAC = re.compile(r"[0-9a-f]{12}|[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}")
_SERVICE = re.compile(r"[0-9a-f]{4}|[0-9a-f]{8}|[0-9a-f]{32}")
_HEX_128 = re.compile(r"[0-9a-f]{32}")


def number(value: Scalar) -> float:
    """A finite number; text is taken where it spells one."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise RejectedError(
                Outcome.NOT_FINITE if _NO_NUMBER.fullmatch(value.lower()) else Outcome.MALFORMED
            )
        value = float(value)
    if value is None or isinstance(value, bool):
        raise RejectedError(Outcome.MALFORMED)
    if not math.isfinite(value):
        raise RejectedError(Outcome.NOT_FINITE)
    return value


def whole(value: Scalar) -> int:
    """A whole number that a double holds exactly."""
    n = number(value)
    if n != int(n) or abs(n) > 2**53:
        raise RejectedError(Outcome.MALFORMED)
    return int(n)


def u16(value: Scalar) -> int:
    n = whole(value)
    if not 0 <= n <= 0xFFFF:
        raise RejectedError(Outcome.OUT_OF_RANGE)
    return n


def is_name(text: str) -> bool:
    """1 to 128 characters, none of them a control character: fit to be part of an identity."""
    return 0 < len(text) <= MAX_TEXT and not _CONTROL.search(text)


def text(value: Scalar) -> str:
    """A name as `is_name` has it; a whole number is one too."""
    name = value if isinstance(value, str) else str(whole(value))
    if not is_name(name):
        raise RejectedError(Outcome.MALFORMED)
    return name


def truth(value: Scalar) -> bool:
    word = value.lower() if isinstance(value, str) else value
    if word in (True, "true", "on", "1"):
        return True
    if word in (False, "false", "off", "0"):
        return False
    raise RejectedError(Outcome.MALFORMED)


def mac(value: Scalar) -> str:
    """An address, lower case with colons, from six bytes with colons, dashes or nothing between them."""
    if not isinstance(value, str) or not _MAC.fullmatch(value.lower()):
        raise RejectedError(Outcome.MALFORMED)
    digits = re.sub("[:-]", "", value.lower())
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def dashed(digits: str) -> str:
    """32 hex digits as a UUID is written."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def uuid(value: Scalar) -> str:
    digits = value.lower().replace("-", "") if isinstance(value, str) else ""
    if not _HEX_128.fullmatch(digits):
        raise RejectedError(Outcome.MALFORMED)
    return dashed(digits)


def adv_bytes(value: Scalar) -> bytes:
    """AD structures from hex."""
    if not isinstance(value, str):
        raise RejectedError(Outcome.MALFORMED)
    if len(value) > 2 * MAX_ADV_BYTES:
        raise RejectedError(Outcome.OVERSIZED)
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise RejectedError(Outcome.MALFORMED) from None


def hex_if_any(value: Scalar) -> bytes:
    """Bytes from hex, none where a receiver sends something else: what it heard holds without them."""
    try:
        return adv_bytes(value)
    except RejectedError:
        return b""


def service_on_air(value: Scalar) -> bytes:
    """A service UUID of 16, 32 or 128 bits as on the air, lowest byte first; none for what is no UUID."""
    digits = value.lower().removeprefix("0x").replace("-", "") if isinstance(value, str) else ""
    return bytes.fromhex(digits)[::-1] if _SERVICE.fullmatch(digits) else b""


def pdus(value: object) -> bytes:
    """AD structures from a list of packets in hex, each with two bytes of header and six of address."""
    if not isinstance(value, list) or len(value) > MAX_PDUS:
        raise RejectedError(Outcome.MALFORMED)
    packets = [adv_bytes(packet)[_BEFORE_ADV:] for packet in value]
    if sum(map(len, packets)) > MAX_ADV_BYTES:
        raise RejectedError(Outcome.OVERSIZED)
    return b"".join(packets)


def iso8601_s(value: Scalar) -> float:
    """Unix seconds from a date and time with its offset from UTC; without one it could be anywhere."""
    if not isinstance(value, str):
        raise RejectedError(Outcome.MALFORMED)
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise RejectedError(Outcome.MALFORMED)
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise RejectedError(Outcome.MALFORMED) from None
