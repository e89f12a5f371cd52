"""What is said of the map, in German; see `german`."""

from __future__ import annotations

from typing import Final

MAP: Final = {
    "'{id}' is used twice": "'{id}' gibt es zweimal",
    "the bounds enclose no area": "die Grenzen umschließen keine Fläche",
    "the zone lies outside the bounds of floor '{floor}'":
        "die Zone liegt außerhalb der Grenzen der Etage '{floor}'",
    "{n} m outside the bounds of floor '{floor}'":
        "{n} m außerhalb der Grenzen der Etage '{floor}'",
    "places are in metres": "Orte stehen in Metern da",
    "is it on another floor?": "ist er auf einer anderen Etage?",
    "reaches {n} m beyond the bounds of floor '{floor}'":
        "ragt {n} m über die Grenzen der Etage '{floor}' hinaus",
    "correct the polygon or the bounds": "die Ecken oder die Grenzen berichtigen",
    "unknown floor '{name}'": "unbekannte Etage '{name}'",
    "unknown zone '{name}'": "unbekannte Zone '{name}'",
    "a zone cannot be part of itself": "eine Zone ist kein Teil von sich selbst",
    "'{part}' is itself part of '{whole}'": "'{part}' ist selbst Teil von '{whole}'",
    "parts have one level": "Teile haben nur eine Ebene",
    "'{id}' is on another floor, '{floor}'":
        "'{id}' ist auf einer anderen Etage, '{floor}'",
    "'{id}' has parts ({names}) and is where they are":
        "'{id}' hat Teile ({names}) und ist dort, wo sie sind",
    "a zone has a polygon or a point (at), not both":
        "eine Zone hat Ecken (polygon) oder einen Punkt (at), nicht beides",
    "thresholds must rise, but {high}s comes after {low}s":
        "Schwellen müssen steigen, doch {high}s kommt nach {low}s",
    "an approach is told by one of ring_m and eta":
        "eine Annäherung hat ring_m oder eta, und nur eines davon",
    "a fence has exactly one of polygon and circle":
        "ein Außenbereich hat Ecken (polygon) oder einen Kreis (circle), und nur eines davon",
    "far from '{id}': latitude and longitude of one of them look swapped":
        "weit weg von '{id}': bei einem von beiden sind wohl Breite und Länge vertauscht",
    "far from {timezone}": "weit weg von {timezone}",
    "latitude and longitude look swapped": "Breite und Länge sind wohl vertauscht",
    "is the time zone right?": "stimmt die Zeitzone?",
    "{n} km from '{id}'": "{n} km von '{id}' entfernt",
    "a site is one place": "ein Standort ist ein Ort",
    "only {n} m across, less than a fix is off":
        "nur {n} m groß, weniger als eine Ortung daneben liegt",
    "{n} km across, which is much for a {kind}": "{n} km groß, das ist viel ({kind})",
    "a parked car is silent, and its stay is given up after {n} h":
        "ein geparktes Auto schweigt, und sein Aufenthalt wird nach {n} h aufgegeben",
    "this never fires for one": "bei einem solchen kommt dies nie",
    "nobody stays for {n} h": "niemand bleibt {n} h lang",
    "overlaps '{id}'": "überschneidet sich mit '{id}'",
    "somebody on the common ground is in one of the two at random":
        "wer auf der gemeinsamen Fläche steht, ist zufällig in einer von beiden",
    "at the same place as '{id}'": "am selben Ort wie '{id}'",
    "the two cannot be told apart": "die beiden sind nicht zu unterscheiden",
    "no receiver and no beacon has a place on this floor":
        "auf dieser Etage hat kein Empfänger und kein Funksender einen Ort",
    "its zones are guessed from other floors":
        "ihre Zonen werden von anderen Etagen aus geraten",
    "nobody is found here": "hier wird niemand gefunden",
    "the nearest receiver or beacon, '{id}', is {n} m away and hears hardly anything":
        "der nächste Empfänger oder Funksender, '{id}', ist {n} m entfernt und hört kaum etwas",
    "put one nearer": "einer muss näher heran",
    "sounds like '{id}' to every receiver, as far as the map tells":
        "klingt für jeden Empfänger wie '{id}', soweit die Karte es sagt",
    "add or move a receiver, or calibrate by a walk":
        "einen Empfänger dazu oder woandershin, oder mit einem Rundgang kalibrieren",
    "unknown receiver or beacon '{name}'":
        "unbekannter Empfänger oder Funksender '{name}'",
    "did you mean {name}? If not, calibrate again or remove the file":
        "ist {name} gemeint? Wenn nicht, neu kalibrieren oder die Datei entfernen",
    "calibrate again or remove the file": "neu kalibrieren oder die Datei entfernen",
    "{zone}: {key} has {n} values for {m} links":
        "{zone}: {key} hat {n} Werte für {m} Strecken",
}  # fmt: skip
OUTLINES: Final = {
    "a polygon needs three corners or more that differ":
        "ein Vieleck braucht mindestens drei verschiedene Ecken",
    "the corners lie on one line: the polygon has no area":
        "die Ecken liegen auf einer Linie: das Vieleck hat keine Fläche",
    "the outline touches itself: corners {a} and {b} are one place":
        "der Umriss berührt sich selbst: die Ecken {a} und {b} sind ein Ort",
    "the outline touches itself: corner {a} lies on the side after corner {b}":
        "der Umriss berührt sich selbst: Ecke {a} liegt auf der Seite nach Ecke {b}",
    "the outline runs back over itself at corner {a}":
        "der Umriss läuft an Ecke {a} auf sich selbst zurück",
    "the outline crosses itself: the side after corner {a} cuts the one after corner {b}":
        "der Umriss kreuzt sich selbst: die Seite nach Ecke {a} schneidet die nach Ecke {b}",
    "hole {n}: {mistake}": "Loch {n}: {mistake}",
    "hole {n} reaches outside the outline": "Loch {n} reicht über den Umriss hinaus",
    "latitude {n} is beyond ±90": "Breite {n} liegt jenseits von ±90",
    "longitude {n} is beyond ±180": "Länge {n} liegt jenseits von ±180",
    "the two look swapped: write {order}":
        "die beiden sind wohl vertauscht: {order} schreiben",
    "write {order}": "{order} schreiben",
    "expected a list of [latitude, longitude], or the name of a file beside the map":
        "erwartet: eine Liste von [Breite, Länge], oder der Name einer Datei neben der Karte",
    "no file {file} beside the map": "neben der Karte liegt keine Datei {file}",
    "{file} is larger than 4 MiB": "{file} ist größer als 4 MiB",
    "{file} cannot be read: {reason}": "{file} ist nicht lesbar: {reason}",
    "{file} is not JSON": "{file} ist kein JSON",
    "{file}: expected one GeoJSON Polygon or MultiPolygon":
        "{file}: erwartet wird ein Polygon oder MultiPolygon in GeoJSON",
    "expected a list of rings, each a list of [longitude, latitude]":
        "erwartet: eine Liste von Ringen, jeder eine Liste von [Länge, Breite]",
    "expected [longitude, latitude] as numbers": "erwartet: [Länge, Breite] als Zahlen",
    "expected coordinates": "erwartet: Koordinaten",
    "{file}: {mistake}": "{file}: {mistake}",
}  # fmt: skip
