"""The written forms of an identity (lower case, kind first)."""

from __future__ import annotations

import re
from typing import Final

from gateway.located import did_you_mean

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_U16 = "(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}|0)"
_KEY = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
FORMS: Final = {
    "ibeacon": (f"{_UUID}:{_U16}:{_U16}", "ibeacon:<uuid>:<major>:<minor>"),
    "altbeacon": (f"[0-9a-f]{{4}}:{_UUID}:{_U16}:{_U16}", "altbeacon:<company>:<id1>:<id2>:<id3>"),
    "eddystone": ("[0-9a-f]{20}:[0-9a-f]{12}", "eddystone:<namespace>:<instance>"),
    "tag": ("[a-z0-9-]{1,32}:[!-~]{1,64}", "tag:<maker>:<id>"),
    "eid": (_KEY, "eid:<key name>"),
    "irk": (_KEY, "irk:<key name>"),
    "mac": ("[0-9a-f]{2}(?::[0-9a-f]{2}){5}", "mac:<public address>"),
    "vehicle": (r"[^\s/+#]+(?:/[^\s/+#]+)?", "vehicle:<id>"),
}
"""Kind: pattern after the colon, and how an operator writes it."""


def identity_mistake(identity: str) -> str:
    """What is wrong with the form of an identity; empty when nothing is."""
    kind, _, rest = identity.partition(":")
    if re.fullmatch(FORMS["mac"][0], identity):
        return f"expected a kind first; did you mean mac:{identity}?"
    if kind not in FORMS:
        near = did_you_mean(kind, FORMS)
        return f"unknown kind of identity '{kind}'{near or '; known are ' + ', '.join(FORMS)}"
    pattern, form = FORMS[kind]
    if re.fullmatch(pattern, rest):
        return ""
    if kind != "vehicle" and re.fullmatch(pattern, rest.lower()):
        return "an identity is written in lower case"
    return f"expected {form}"
