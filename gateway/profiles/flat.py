"""Straight from the bytes of a flat JSON payload to its fix, in one pass and without an object in between.

It takes the plain form in which vehicles speak: one ASCII object without escapes, whose numbers have so few
digits that a double holds them after one exact operation. All else is left to `typed.py`, which gives the
same fix of what both take; a test holds them to that. Compiled only (flat.pxd has the types): plain Python
would be slower than msgspec.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate

from gateway.model import Fix, Message
from gateway.profiles.rules import EARLIEST_S, LATEST_S, MAX_PAYLOAD_BYTES, MOST_AHEAD_S

COMPILED = not __file__.endswith(".py")
PLAIN = not COMPILED
LAT, LON, TIME, ACCURACY, SPEED, HEADING, IGNITION, WORD = range(8)
"""What a member is; from WORD on they are texts of which one is demanded, at most WORDS_MAX."""
WORDS_MAX = 8
DEEPEST = 16
"""Nests beyond are left to others, as are numbers of more than ..."""
DIGITS_MAX = 18
"""... so many digits, which no 64 bits could overflow, or beyond ..."""
EXACT_MAX = 2**53
"""... where doubles leave out whole numbers. Both operands exact, IEEE 754 rounds their quotient right."""
POWERS = array("d", [10.0**digits for digits in range(DIGITS_MAX + 1)])
QUOTE, BACKSLASH, COMMA, COLON, MINUS, POINT = b'"\\,:-.'
OPEN, CLOSE, OPEN_LIST, CLOSE_LIST = b"{}[]"
TRUE, FALSE, NULL, SMALL_E, BIG_E = b"tfneE"
MIXES, NAN = 64, math.nan


class Members:
    """The members that a profile looks at; `scan` leaves their values here until the next scan.

    `keys` and `kinds` go together, `allowed` has the texts for WORD, WORD + 1 and so on; all of it ASCII.
    Where no text is allowed, none is demanded, and a payload that has the member is left to others.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        kinds: Sequence[int],
        allowed: Sequence[Sequence[bytes]],
        factors: tuple[float, float, float],
    ) -> None:
        texts = [*keys, *(text for texts in allowed for text in texts)]
        self._texts = b"".join(texts) + b"\0"
        self._begins = array("i", [0, *accumulate(map(len, texts))])
        self._allowed = array("i", accumulate(map(len, allowed), initial=len(keys)))
        heads, more = array("i", [-1] * MIXES), array("i")
        for number, key in enumerate(keys):
            mix = mixed(key, 0, len(key))
            more.append(heads[mix])
            heads[mix] = number
        self._heads, self._more = heads, more
        self._kinds = array("i", kinds)
        self._demanded = sum(1 << kind for kind in kinds if kind >= WORD and allowed[kind - WORD])
        self._time_factor, self._accuracy_factor, self._speed_factor = factors
        self.values = array("d", bytes(8 * WORD))
        self._seen, self._number = 0, 0.0
        self._fix = Fix

    def scan(self, payload: bytes, size: int) -> bool:
        """Whether all of the payload was read and has every demanded text; a zero byte ends it.

        Members that are missing or null have no number as their value.
        """
        for kind in range(WORD):
            self.values[kind] = NAN
        self._seen = 0
        at = self._object(payload, blank(payload, 0))
        return at != 0 and at == size and self._seen == self._demanded

    def _object(self, payload: bytes, at: int) -> int:
        """Where the object and the blanks behind it end, 0 for one that is left to others."""
        if payload[at] != OPEN:
            return 0
        while True:
            at = blank(payload, at + 1)
            if payload[at] != QUOTE:
                return 0
            start = at + 1
            end = text_end(payload, start)
            at = blank(payload, end + 1) if end else 0
            if payload[at] != COLON:
                return 0
            at = blank(payload, at + 1)
            key = self._which(payload, start, end)
            at = skip(payload, at, 0) if key < 0 else self._value(payload, at, self._kinds[key])
            if at == 0:
                return 0
            at = blank(payload, at)
            if payload[at] == CLOSE:
                return blank(payload, at + 1)
            if payload[at] != COMMA:
                return 0

    def _which(self, payload: bytes, start: int, end: int) -> int:
        """The number of the key, -1 for one that nobody looks at."""
        key = self._heads[mixed(payload, start, end)]
        while key >= 0 and not self._is_text(key, payload, start, end):
            key = self._more[key]
        return key

    def _is_text(self, text: int, payload: bytes, start: int, end: int) -> bool:
        begin = self._begins[text]
        if self._begins[text + 1] - begin != end - start:
            return False
        for k in range(end - start):  # noqa: SIM110 - no generator in a compiled loop
            if self._texts[begin + k] != payload[start + k]:
                return False
        return True

    def _value(self, payload: bytes, at: int, kind: int) -> int:
        """Keep the value of a member; where it ends, 0 for one that is left to others."""
        if kind >= WORD:
            return self._word(payload, at, kind - WORD)
        if payload[at] == NULL and kind > TIME:
            self.values[kind] = NAN
            return literal(payload, at, b"null")
        if kind == IGNITION:
            self.values[kind] = payload[at] == TRUE
            return literal(payload, at, b"true" if payload[at] == TRUE else b"false")
        quoted = payload[at] == QUOTE
        at = self._decimal(payload, at + quoted)
        self.values[kind] = self._number
        return at + quoted if at and (not quoted or payload[at] == QUOTE) else 0

    def _word(self, payload: bytes, at: int, word: int) -> int:
        if payload[at] != QUOTE:
            return 0
        end = text_end(payload, at + 1)
        for text in range(self._allowed[word], self._allowed[word + 1]):
            if end and self._is_text(text, payload, at + 1, end):
                self._seen |= 1 << (WORD + word)
                return end + 1
        return 0

    def _decimal(self, payload: bytes, at: int) -> int:
        """Keep the number that begins here; where it ends, 0 for one that is left to others."""
        negative = payload[at] == MINUS
        at += negative
        first, mantissa = at, 0
        while 0x30 <= payload[at] <= 0x39:
            mantissa = 10 * mantissa + (payload[at] - 0x30)
            at += 1
        end = at
        if payload[at] == POINT:
            at += 1
            while 0x30 <= payload[at] <= 0x39:
                mantissa = 10 * mantissa + (payload[at] - 0x30)
                at += 1
        if not is_decimal(payload, first, end, at):
            return 0
        if mantissa > EXACT_MAX or (negative and mantissa == 0):
            return 0
        self._number = mantissa / POWERS[at - end - 1 if at > end else 0]
        if negative:
            self._number = -self._number
        return at

    def fix(self, message: Message, device: str) -> Fix | None:
        """Of what was scanned; None where the patient reader has to say what is wrong."""
        lat_deg, lon_deg = self.values[LAT], self.values[LON]
        received = message.t_s
        fix_t_s, received_s = self.values[TIME] * self._time_factor, received
        if not (-90.0 <= lat_deg <= 90.0 and -180.0 <= lon_deg <= 180.0) or lat_deg == lon_deg == 0.0:
            return None
        if not EARLIEST_S <= fix_t_s <= LATEST_S or fix_t_s > received_s + MOST_AHEAD_S:
            return None
        accuracy_m, speed_kmh = self.values[ACCURACY], self.values[SPEED]
        heading_deg, ignition = self.values[HEADING], self.values[IGNITION]
        return self._fix(
            received,
            fix_t_s,
            device,
            lat_deg,
            lon_deg,
            accuracy_m * self._accuracy_factor if accuracy_m > 0.0 else None,
            speed_kmh * self._speed_factor if speed_kmh >= 0.0 else None,
            (heading_deg if heading_deg < 360.0 else 0.0) if 0.0 <= heading_deg <= 360.0 else None,
            ignition == 1.0 if ignition >= 0.0 else None,
            message.retain,
        )


class FlatReader:
    """The reader of one topic; `otherwise` has to look where it does not take a payload."""

    def __init__(self, members: Members, device: str, otherwise: Callable[[Message], Fix | None]) -> None:
        self._members, self._device, self._otherwise = members, device, otherwise

    def read(self, message: Message) -> Fix | None:
        payload = message.payload
        size = len(payload)
        fix = None
        if size <= MAX_PAYLOAD_BYTES:
            if PLAIN:  # compiled, the zero that ends all bytes in memory ends the scan
                payload += b"\0"
            if self._members.scan(payload, size):
                fix = self._members.fix(message, self._device)
        return self._otherwise(message) if fix is None else fix


def mixed(text: bytes, start: int, end: int) -> int:
    """Few keys share this number of 0 to MIXES - 1."""
    return (text[start] + 5 * text[end - 1] + 11 * (end - start)) & (MIXES - 1)


def blank(payload: bytes, at: int) -> int:
    """Where the blanks end that begin here."""
    while payload[at] in b" \n\r\t":
        at += 1
    return at


def text_end(payload: bytes, at: int) -> int:
    """Where the quote is that ends a text, 0 for a text that is left to others."""
    while 0x20 <= payload[at] < 0x80 and payload[at] not in (QUOTE, BACKSLASH):
        at += 1
    return at if payload[at] == QUOTE else 0


def digits_end(payload: bytes, at: int) -> int:
    while 0x30 <= payload[at] <= 0x39:
        at += 1
    return at


def is_decimal(payload: bytes, first: int, end: int, last: int) -> bool:
    """Digits up to `end`, then perhaps a point and more up to `last`: a JSON number, none of many digits."""
    if end == first or last == end + 1 or last - first > DIGITS_MAX:
        return False
    if payload[first] == 0x30 and end - first > 1:
        return False
    return payload[last] not in (SMALL_E, BIG_E)


def literal(payload: bytes, at: int, text: bytes) -> int:
    """Where the text ends that stands here, 0 when it does not."""
    for k in range(len(text)):
        if payload[at + k] != text[k]:
            return 0
    return at + len(text)


def skip(payload: bytes, at: int, depth: int) -> int:
    """Where a value ends that nobody looks at, 0 for one that is left to others."""
    begins = payload[at]
    if begins == QUOTE:
        end = text_end(payload, at + 1)
        return end + 1 if end else 0
    if begins in (OPEN, OPEN_LIST):
        return skip_nest(payload, at, depth + 1) if depth < DEEPEST else 0
    if begins == TRUE:
        return literal(payload, at, b"true")
    if begins == FALSE:
        return literal(payload, at, b"false")
    if begins == NULL:
        return literal(payload, at, b"null")
    first = at + (begins == MINUS)
    end = digits_end(payload, first)
    last = digits_end(payload, end + 1) if payload[end] == POINT else end
    return last if is_decimal(payload, first, end, last) else 0


def skip_nest(payload: bytes, at: int, depth: int) -> int:
    """Where an object or a list ends."""
    is_object = payload[at] == OPEN
    closes = CLOSE if is_object else CLOSE_LIST
    at = blank(payload, at + 1)
    if payload[at] == closes:
        return at + 1
    while True:
        if is_object:
            end = text_end(payload, at + 1) if payload[at] == QUOTE else 0
            at = blank(payload, end + 1) if end else 0
            if payload[at] != COLON:
                return 0
            at = blank(payload, at + 1)
        at = skip(payload, at, depth)
        at = blank(payload, at) if at else 0
        if payload[at] == closes:
            return at + 1
        if at == 0 or payload[at] != COMMA:
            return 0
        at = blank(payload, at + 1)
