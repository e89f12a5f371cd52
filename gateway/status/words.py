"""What the page says, in English and German."""

from __future__ import annotations

from typing import Final

from gateway.drawing import PLAN_WORDS, PlanWords

ENGLISH: Final[dict[str, str]] = {
    "lang": "en",
    "title": "Presence gateway",
    "other": "Deutsch",
    "other_lang": "de",
    "skip": "Skip to the plan",
    "ready": "Everything works.",
    "unready": "Something does not work.",
    "lost": "The connection to the gateway is lost; what is shown is old.",
    "plan": "Plan",
    "zones": "Who is where",
    "zone": "Zone",
    "kind": "Kind",
    "here": "Here now",
    "nobody": "Nobody who may be shown.",
    "not_shown": "No numbers: the settings name no purpose that people could agree to (page: shows).",
    "ticker": "Lately",
    "nothing": "Nothing yet.",
    "links": "Links",
    "name": "Name",
    "state": "State",
    "detail": "Detail",
    "up": "up",
    "down": "down",
    "receivers": "Receivers",
    "receiver": "Receiver",
    "heard": "Heard last",
    "never": "not yet",
    "alive": "hears",
    "dead": "silent",
    "queues": "Queues",
    "queue": "Queue",
    "waits": "Waiting",
    "lane": "lane",
    "recipient": "recipient",
    "disk": "not yet on disk",
    "calibration": "Calibration",
    "no_calibration": "Not calibrated, or one zone only.",
    "accuracy": "Zones are told apart in {mean} of seconds (expected); "
    "worst {zone} from {neighbour}: {worst}.",
    "outdated": "The map has changed since the walk; walk again.",
    "reload": "Last read",
    "waiting": "Waits for a restart:",
    "reload_fine": "{at}: everything was taken over.",
    "reload_failed": "{at}: not taken over, what was read before holds on. The log says more.",
    "journey": "One subject's way",
    "journey_hint": "For somebody who asks about themselves, or agreed to be looked after. "
    "Each look is in the audit log.",
    "reference": "Reference",
    "show": "Show",
    "journey_none": "Nothing is shown of this reference: it is unknown, without consent, or without events.",
    "journey_off": "Needs a token and a purpose in the settings (page: token, shows).",
    "ago_now": "now",
    "ago_s": "{n} s ago",
    "ago_min": "{n} min ago",
    "ago_h": "{n} h ago",
    "dwelled_for": "for {span}",
    "left_for": "after {span}",
    "approaching": "approaching",
    "entering": "entering",
    "entered": "entered",
    "passed": "passed by",
    "dwelled": "stays",
    "left": "left",
    "version": "version {version}, {core} core",
    "nothing gets through the pipeline": "nothing gets through the pipeline",
    "the disk refuses to be written": "the disk refuses to be written",
    "no source is up": "no source is up",
    "nothing personal may leave": "nothing personal may leave",
}  # fmt: skip
GERMAN: Final[dict[str, str]] = {
    "lang": "de",
    "title": "Presence-Gateway",
    "other": "English",
    "other_lang": "en",
    "skip": "Zum Plan",
    "ready": "Alles läuft.",
    "unready": "Etwas läuft nicht.",
    "lost": "Die Verbindung zum Gateway ist weg; das Gezeigte ist alt.",
    "plan": "Plan",
    "zones": "Wer ist wo",
    "zone": "Zone",
    "kind": "Art",
    "here": "Jetzt hier",
    "nobody": "Niemand, der gezeigt werden darf.",
    "not_shown": "Keine Zahlen: Die Einstellungen nennen keinen Zweck, dem man zustimmen kann (page: shows).",
    "ticker": "Zuletzt",
    "nothing": "Noch nichts.",
    "links": "Verbindungen",
    "name": "Name",
    "state": "Zustand",
    "detail": "Näheres",
    "up": "steht",
    "down": "unterbrochen",
    "receivers": "Empfänger",
    "receiver": "Empfänger",
    "heard": "Zuletzt gehört",
    "never": "noch nicht",
    "alive": "hört",
    "dead": "stumm",
    "queues": "Schlangen",
    "queue": "Schlange",
    "waits": "Wartend",
    "lane": "Eingang",
    "recipient": "Empfänger der Daten",
    "disk": "noch nicht auf der Platte",
    "calibration": "Kalibrierung",
    "no_calibration": "Nicht kalibriert, oder nur eine Zone.",
    "accuracy": "Zonen werden in {mean} der Sekunden unterschieden (erwartet); "
    "am schlechtesten {zone} von {neighbour}: {worst}.",
    "outdated": "Die Karte wurde seit dem Rundgang geändert; bitte neu gehen.",
    "reload": "Zuletzt gelesen",
    "waiting": "Wartet auf einen Neustart:",
    "reload_fine": "{at}: alles übernommen.",
    "reload_failed": "{at}: nicht übernommen, es gilt das zuvor Gelesene. Mehr steht im Protokoll.",
    "journey": "Der Weg einer Person",
    "journey_hint": "Für jemanden, der nach sich selbst fragt oder der Betreuung zugestimmt hat. "
    "Jeder Blick steht im Prüfprotokoll.",
    "reference": "Kennung",
    "show": "Zeigen",
    "journey_none": "Zu dieser Kennung wird nichts gezeigt: unbekannt, ohne Zustimmung oder ohne Ereignis.",
    "journey_off": "Braucht ein Token und einen Zweck in den Einstellungen (page: token, shows).",
    "ago_now": "jetzt",
    "ago_s": "vor {n} s",
    "ago_min": "vor {n} min",
    "ago_h": "vor {n} h",
    "dwelled_for": "seit {span}",
    "left_for": "nach {span}",
    "approaching": "nähert sich",
    "entering": "fährt ein",
    "entered": "angekommen",
    "passed": "vorbeigefahren",
    "dwelled": "bleibt",
    "left": "gegangen",
    "version": "Version {version}, Kern {core}",
    "nothing gets through the pipeline": "nichts kommt durch die Pipeline",
    "the disk refuses to be written": "die Platte lässt sich nicht beschreiben",
    "no source is up": "keine Quelle ist verbunden",
    "nothing personal may leave": "nichts Persönliches darf hinaus",
}  # fmt: skip
WORDS: Final[dict[str, dict[str, str]]] = {"en": ENGLISH, "de": GERMAN}


def plan_words(language: str) -> PlanWords:
    return PLAN_WORDS[language]


def language_of(wanted: str | None, accepted: str) -> str:
    """The language asked for by name, else the first known one of an Accept-Language header, else English."""
    if wanted in WORDS:
        return wanted
    for part in accepted.split(","):
        language = part.partition(";")[0].strip().lower().partition("-")[0]
        if language in WORDS:
            return language
    return "en"
