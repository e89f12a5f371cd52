"""What the operator is told, clause by clause, in German.

English is what the rules say; a clause is what stands between two `; `. The value of a placeholder is kept,
but for `{mistake}`, a clause itself, `{items}`, clauses with commas between, `{what}`, made of `TERMS`,
`{value}`, what stands in the file, and `{form}`, that of an identity.
"""

from __future__ import annotations

from typing import Final

from gateway.translation.german_map import MAP, OUTLINES

TERMS: Final = {
    "text": "Text",
    "a whole number": "eine ganze Zahl",
    "a number": "eine Zahl",
    "a finite number": "eine endliche Zahl",
    "true": "true",
    "false": "false",
    "a list": "eine Liste",
    "a mapping": "Schlüssel mit Werten",
    "a mapping (key: value)": "Schlüssel mit Werten (schlüssel: wert)",
    "a list (- item)": "eine Liste (- eintrag)",
    "nothing": "nichts",
    "a file, this is a directory": "eine Datei, dies ist ein Verzeichnis",
    "an ordinary file": "eine gewöhnliche Datei",
    "auto": "auto",
}  # fmt: skip
"""What a value is or should be."""

ANSWERS: Final = {
    "did you mean {name}?": "ist {name} gemeint?",
    "there are none": "es gibt keine",
    "known here: {names}": "hier bekannt: {names}",
    "known are {names}": "bekannt sind {names}",
    "put it in quotes": "es gehört in Anführungszeichen",
    "write [{value}]": "[{value}] schreiben",
    "write [] or leave the key out": "[] schreiben oder den Schlüssel weglassen",
    "write it without quotes": "ohne Anführungszeichen schreiben",
    "remove it": "es muss weg",
    "remove this": "dies muss weg",
    "is a decimal wrong?": "stimmt eine Nachkommastelle nicht?",
    "is the unit right?": "stimmt die Einheit?",
}  # fmt: skip
"""What would help, after many a mistake."""

FILES: Final = {
    "the file is empty": "die Datei ist leer",
    "no such file": "diese Datei gibt es nicht",
    "cannot be read: {reason}": "nicht lesbar: {reason}",
    "this is UTF-16": "dies ist UTF-16",
    "not UTF-8 from here": "ab hier kein UTF-8",
    "save the file as UTF-8": "die Datei als UTF-8 speichern",
    "control character U+{code}": "Steuerzeichen U+{code}",
    "is this a text file?": "ist das eine Textdatei?",
    "larger than 1 MiB ({n} bytes)": "größer als 1 MiB ({n} Bytes)",
    "changes while it is read": "ändert sich, während sie gelesen wird",
    "try again when it is written": "noch einmal, wenn sie geschrieben ist",
    "not YAML": "kein YAML",
    "a second document": "ein zweites Dokument",
    "a file holds one": "eine Datei hat eines",
    "nested deeper than {n} levels": "tiefer als {n} Ebenen verschachtelt",
    "aliases expand to more than {n} values": "die Verweise ergeben mehr als {n} Werte",
    "the alias *{name} refers to what contains it":
        "der Verweis *{name} steht in dem, worauf er verweist",
    "the alias *{name} has no anchor before it":
        "vor dem Verweis *{name} steht kein Anker &{name}",
    "the tag {tag} is not used here": "die Typangabe {tag} gibt es hier nicht",
    "a key must be plain text": "ein Schlüssel muss einfacher Text sein",
    "duplicate key": "doppelter Schlüssel",
    "it is on line {line} already": "er steht schon in Zeile {line}",
    "a tab": "ein Tabulator",
    "YAML indents with spaces only": "YAML rückt nur mit Leerzeichen ein",
    "neither `key: value` nor `- item`": "weder `schlüssel: wert` noch `- eintrag`",
    "is `: ` missing?": "fehlt `: `?",
    "a second `: ` here: wrong indentation, or text that needs quotes":
        "hier ein zweites `: `: falsch eingerückt, oder Text, der Anführungszeichen braucht",
    "a list item cannot start here": "hier kann kein Listeneintrag beginnen",
    "check the indentation": "die Einrückung prüfen",
    "the indentation fits nothing above": "die Einrückung passt zu nichts darüber",
    "check the spaces and list dashes": "Leerzeichen und Listenstriche prüfen",
    "expected `,` or `]`: the `[` on line {line} is still open":
        "erwartet wird `,` oder `]`: das `[` in Zeile {line} ist noch offen",
    "expected `,` or `}}`: the `{{` on line {line} is still open":
        "erwartet wird `,` oder `}}`: das `{{` in Zeile {line} ist noch offen",
    "the quote that opens here is never closed":
        "das Anführungszeichen, das hier beginnt, endet nirgends",
    "a value cannot start with this character":
        "mit diesem Zeichen kann kein Wert beginnen",
    "put the text in quotes": "der Text gehört in Anführungszeichen",
    "a value is missing before this": "davor fehlt ein Wert",
    "a `:` without a space after it": "ein `:` ohne Leerzeichen danach",
    "`&` or `*` without a name": "`&` oder `*` ohne einen Namen",
    "no such escape": "diese Ersatzschreibweise gibt es nicht",
    "inside double quotes a backslash is written `\\\\`":
        "in doppelten Anführungszeichen schreibt sich ein Rückstrich `\\\\`",
    "something after the end of the value": "nach dem Ende des Wertes steht noch etwas",
    "is it indented too little?": "ist es zu wenig eingerückt?",
}  # fmt: skip
VALUES: Final = {
    "expected {what}": "erwartet: {what}",
    "{mistake}, got {value}": "{mistake}, hier steht {value}",
    "missing key '{key}'": "der Schlüssel '{key}' fehlt",
    "item {n} is missing": "Eintrag {n} fehlt",
    "unknown key": "unbekannter Schlüssel",
    "must not be empty": "darf nicht leer sein",
    "must be more than {n}": "muss mehr sein als {n}",
    "must be at least {n}": "muss mindestens {n} sein",
    "must be less than {n}": "muss weniger sein als {n}",
    "must be at most {n}": "darf höchstens {n} sein",
    "needs {n} items or more": "braucht mindestens {n} Einträge",
    "takes {n} items at most": "nimmt höchstens {n} Einträge",
    "needs {n} characters or more": "braucht mindestens {n} Zeichen",
    "takes {n} characters at most": "nimmt höchstens {n} Zeichen",
    "expected a duration": "erwartet: eine Dauer",
    "write a unit after {n} (ms, s, min, h or d)":
        "nach {n} fehlt die Einheit (ms, s, min, h oder d)",
    "expected a duration such as 15s or 2min (units ms, s, min, h or d)":
        "erwartet: eine Dauer wie 15s oder 2min (Einheiten ms, s, min, h oder d)",
    "expected a duration of more than 0 and at most ten years":
        "erwartet: eine Dauer von mehr als 0 und höchstens zehn Jahren",
    "expected a step of at most 1d": "erwartet: ein Schritt von höchstens 1d",
    "not usable as an id: 1 to 64 letters, digits, dots, dashes, underscores":
        "als Kennung nicht möglich: 1 bis 64 Buchstaben, Ziffern, Punkte, Striche, Unterstriche",
    "a letter or digit first": "am Anfang ein Buchstabe oder eine Ziffer",
    "expected a purpose as a term with its prefix, such as dpv:PersonalisedBenefits":
        "erwartet: ein Zweck als Begriff mit seinem Präfix, wie dpv:PersonalisedBenefits",
    "unknown time zone '{name}'": "unbekannte Zeitzone '{name}'",
    "it is called after a large city of its country":
        "sie heißt nach einer großen Stadt ihres Landes",
    "expected a kind first": "erwartet: zuerst eine Art",
    "unknown kind of identity '{name}'": "unbekannte Art von Identität '{name}'",
    "an identity is written in lower case": "eine Identität wird klein geschrieben",
    "expected {form}": "erwartet: {form}",
    "expected credential:NAME or the path of a file":
        "erwartet: credential:NAME oder der Pfad einer Datei",
    "an empty list permits nothing": "eine leere Liste erlaubt nichts",
    "name one or leave the key out": "etwas nennen oder den Schlüssel weglassen",
}  # fmt: skip
"""Mistakes of single values, whatever they are for."""

SETTINGS: Final = {
    "unknown profile '{name}'": "unbekanntes Profil '{name}'",
    "unknown broker '{name}'": "unbekannter Broker '{name}'",
    "unknown recipient '{name}'": "unbekannter Empfänger der Daten '{name}'",
    "unknown receiver '{name}'": "unbekannter Empfänger '{name}'",
    "unknown purpose '{name}'": "unbekannter Zweck '{name}'",
    "a {key} is never written here: credential:NAME or the path of a file that holds it":
        "{key} steht nie hier selbst: credential:NAME oder der Pfad einer Datei damit",
    "a user or password is never written here":
        "ein Benutzer oder Passwort steht nie hier selbst",
    "use `{key}`": "dafür ist `{key}` da",
    "expected a name or an address alone": "erwartet: nur ein Name oder eine Adresse",
    "the port is `port`, and encryption is `tls`":
        "der Port ist `port`, die Verschlüsselung `tls`",
    "a client certificate needs both cert and key":
        "ein Zertifikat braucht beides, cert und key",
    "expected auto, or an adapter's address as `bluetoothctl list` shows it":
        "erwartet: auto, oder die Adresse eines Adapters, wie `bluetoothctl list` sie zeigt",
    "which number an adapter gets may change at each start":
        "welche Nummer ein Adapter bekommt, kann bei jedem Start anders sein",
    "auto stands alone, and each address once: an adapter has one scan":
        "auto steht allein, und jede Adresse einmal: ein Adapter sucht nur einmal",
    "the map has no receiver '{name}'": "die Karte hat keinen Empfänger '{name}'",
    "name this radio's with `receiver:`": "den dieses Funkgeräts mit `receiver:` nennen",
    "there is no radio to relay": "es gibt kein Funkgerät, das weitergegeben wird",
    "say `ble: {{adapters: [auto]}}`": "dafür `ble: {{adapters: [auto]}}` schreiben",
    "nothing is heard there and nobody is reached by it":
        "dort wird nichts gehört und darüber niemand erreicht",
    "give it `subscribe` or remove it": "mit `subscribe` ergänzen oder entfernen",
    "the platform acknowledges by itself, over MQTT: give it `via`":
        "die Plattform bestätigt selbst, über MQTT: sie braucht `via`",
    "expected `via` with the name of a broker, or `webhook`":
        "erwartet: `via` mit dem Namen eines Brokers, oder `webhook`",
    "the answer of a webhook is the acknowledgement":
        "die Antwort eines Webhooks ist die Bestätigung",
    "leave ack out": "ack weglassen",
    "without a purpose nothing is released": "ohne einen Zweck wird nichts freigegeben",
    "evidence is listed key by key, such as evidence.rssi_dbm":
        "Belege (evidence) werden einzeln genannt, wie evidence.rssi_dbm",
    "there are {names}": "es gibt {names}",
    "expected {names} or evidence.<key>": "erwartet: {names} oder evidence.<schlüssel>",
    "never comes: none of these zones has a `dwell` threshold":
        "kommt nie: keine dieser Zonen hat eine Schwelle (`dwell`)",
    "never comes: none of these zones has `approach`":
        "kommt nie: keine dieser Zonen hat `approach`",
    "never comes: only fences say it, and none of these zones is one":
        "kommt nie: das sagen nur Außenbereiche, und keine dieser Zonen ist einer",
    "only `dwelled` has it, and it is not among the changes":
        "das hat nur `dwelled`, und es ist nicht unter den Änderungen (changes)",
    "expected an address such as https://platform.example.org/consents":
        "erwartet: eine Adresse wie https://platform.example.org/consents",
    "this is personal data: https, except on this machine itself":
        "das sind personenbezogene Daten: https, außer auf dieser Maschine selbst",
    "expected a window of 1min to 1d that a day is a whole number of, such as 15min":
        "erwartet: ein Zeitfenster von 1min bis 1d, das in einem Tag aufgeht, wie 15min",
    "expected a window of 1min to 1d": "erwartet: ein Zeitfenster von 1min bis 1d",
    "expected at most 5s: so long an event would wait in memory":
        "erwartet: höchstens 5s: so lange würde ein Ereignis im Speicher warten",
    "expected an address and a port such as 127.0.0.1:8780 or [::1]:8780, or off":
        "erwartet: eine Adresse und ein Port wie 127.0.0.1:8780 oder [::1]:8780, oder off",
    "beyond this machine it needs a token, or listens on 127.0.0.1 behind a proxy":
        "über diese Maschine hinaus braucht sie ein Token, oder sie horcht auf 127.0.0.1 hinter einem "
        "Proxy",
    "'{name}' is what a consent to `page: {{shows: …}}` names":
        "'{name}' nennt eine Einwilligung zu `page: {{shows: …}}`",
    "call this recipient otherwise": "dieser Empfänger der Daten muss anders heißen",
}  # fmt: skip
CONSENT: Final = {
    "expected one of file, mqtt and http":
        "erwartet: genau eines von file, mqtt und http",
    "a file is complete in itself and has no age":
        "eine Datei ist in sich vollständig und hat kein Alter",
    "leave max_age out": "max_age weglassen",
    "records of a file are not signed": "die Einträge einer Datei sind nicht signiert",
    "signed_by is for mqtt and http": "signed_by ist für mqtt und http",
    "asking every {n} s cannot keep up with a max_age of {m} s":
        "eine Frage alle {n} s reicht nicht für ein max_age von {m} s",
    "expected a time with its zone, such as 2025-12-01T09:30:00Z":
        "erwartet: eine Zeit mit Zeitzone, wie 2025-12-01T09:30:00Z",
    "expected a list or all": "erwartet: eine Liste oder all",
    "listed twice": "zweimal genannt",
    "another subject has it on line {line}":
        "sie gehört in Zeile {line} schon jemand anderem",
    "it identifies nobody": "sie steht für niemanden",
    "`drivers` can say who drives": "wer fährt, kann `drivers` sagen",
    "this is the beacon '{id}' of the map, nobody's":
        "dies ist der Funksender '{id}' der Karte und gehört niemandem",
    "never recognised: {mistake}": "wird nie erkannt: {mistake}",
    "ends before it begins: it never permits anything":
        "endet, bevor sie beginnt: sie erlaubt nie etwas",
    "nobody may receive this: no record of {file} names '{name}' and this purpose":
        "das darf niemand bekommen: kein Eintrag von {file} nennt '{name}' und diesen Zweck",
    "this is a private key: it stays with who signs":
        "dies ist ein geheimer Schlüssel: er bleibt bei dem, der signiert",
    "expected a public Ed25519 key in PEM (`openssl pkey -pubout`)":
        "erwartet: ein öffentlicher Ed25519-Schlüssel in PEM (`openssl pkey -pubout`)",
    "{zone} is counted for {recipient} already":
        "{zone} wird für {recipient} schon gezählt",
    "{zone} is counted for {recipient} too: the windows and k of both must be the same":
        "{zone} wird auch für {recipient} gezählt: Zeitfenster und k beider müssen gleich sein",
    "{part} is part of {whole}: a difference of their counts would say more than either":
        "{part} ist Teil von {whole}: eine Differenz beider Zahlen würde mehr sagen als jede von ihnen",
    "{a} and {b} overlap: a difference of their counts would say more than either":
        "{a} und {b} überschneiden sich: eine Differenz beider Zahlen würde mehr sagen als jede von ihnen",
}  # fmt: skip
SECRETS: Final = {
    "{file} is not here": "{file} ist nicht hier",
    "without it the gateway does not start": "ohne sie startet das Gateway nicht",
    "cannot read {file}: {reason}": "{file} ist nicht lesbar: {reason}",
    "{file} is not an ordinary file": "{file} ist keine gewöhnliche Datei",
    "{file} is open to others (mode {mode})":
        "{file} ist für andere offen (Modus {mode})",
    "chmod 0600 it": "`chmod 0600` hilft",
    "{file} belongs to another user": "{file} gehört einem anderen Benutzer",
    "chown it to root or to the gateway's": "`chown` auf root oder den des Gateways",
    "{name}: systemd passed no credentials": "{name}: systemd hat nichts übergeben",
    "the unit needs LoadCredential={name}": "die Unit braucht LoadCredential={name}",
    "{file} is not UTF-8 text, as a password is":
        "{file} ist kein UTF-8-Text, wie ein Passwort es ist",
    "{file} does not hold one line of ASCII, as a token does":
        "{file} enthält nicht eine Zeile ASCII, wie ein Token es tut",
    "{file} is shorter than {n} letters and can be guessed":
        "{file} ist kürzer als {n} Zeichen und zu erraten",
    "`openssl rand -hex 24` makes a good one": "`openssl rand -hex 24` macht ein gutes",
    "{file} holds {n} keys": "{file} enthält {n} Schlüssel",
    "expected 1 to {n}, one a line": "erwartet: 1 bis {n}, einer je Zeile",
    "{file}: a key is whsec_ and the base64 of {n} to {m} random bytes":
        "{file}: ein Schlüssel ist whsec_ und das Base64 von {n} bis {m} zufälligen Bytes",
    "the gateway's key has {n} bytes, {m} are needed":
        "der Schlüssel des Gateways hat {n} Bytes, nötig sind {m}",
    "the gateway's key: {mistake}": "der Schlüssel des Gateways: {mistake}",
    "{file} holds no certificate": "{file} enthält kein Zertifikat",
    "one in PEM begins with -----BEGIN CERTIFICATE-----":
        "in PEM beginnt eines mit -----BEGIN CERTIFICATE-----",
    "this certificate begins on {date}, and no connection is made before":
        "dieses Zertifikat gilt ab {date}, und vorher gibt es keine Verbindung",
    "this certificate ended on {date}, and no connection is made":
        "dieses Zertifikat galt bis {date}, und es gibt keine Verbindung",
    "renew it": "es muss erneuert werden",
    "this certificate ends on {date}": "dieses Zertifikat gilt bis {date}",
    "renew it before": "es muss vorher erneuert werden",
    "these certificates cannot be used: {reason}":
        "diese Zertifikate sind nicht zu gebrauchen: {reason}",
    "{file} is locked with a passphrase, which nobody types when a service starts":
        "{file} ist mit einem Kennwort gesperrt, das beim Start eines Dienstes niemand eingibt",
    "`openssl pkey -in OLD -out NEW` takes it off":
        "`openssl pkey -in ALT -out NEU` nimmt es weg",
    "{file} holds no private key": "{file} enthält keinen geheimen Schlüssel",
    "one in PEM begins with -----BEGIN PRIVATE KEY-----":
        "in PEM beginnt einer mit -----BEGIN PRIVATE KEY-----",
    "{file} is not the key of the certificate in `cert`":
        "{file} ist nicht der Schlüssel zum Zertifikat in `cert`",
    "expected a mapping of names to keys": "erwartet: Namen mit ihren Schlüsseln",
    "{n} keys": "{n} Schlüssel",
    "at most {n} are taken": "höchstens {n} werden genommen",
    "expected an address such as 54:48:e6:8f:80:a5":
        "erwartet: eine Adresse wie 54:48:e6:8f:80:a5",
    "a key's name has lower case letters, digits, dots, dashes, underscores, at most 64":
        "der Name eines Schlüssels hat Kleinbuchstaben, Ziffern, Punkte, Striche, Unterstriche, "
        "höchstens 64",
    "a number needs quotes": "eine Zahl gehört in Anführungszeichen",
    "expected a key of 32 hex digits, in quotes":
        "erwartet: ein Schlüssel aus 32 Hexziffern, in Anführungszeichen",
    "a key of zeros is no key": "ein Schlüssel aus Nullen ist keiner",
    "this key stands on line {line} already: it would identify two":
        "dieser Schlüssel steht schon in Zeile {line}: er würde für zwei stehen",
    "expected {{{names}}}, no more and no less":
        "erwartet: {{{names}}}, nicht mehr und nicht weniger",
    "expected a whole number from 0 to {n}": "erwartet: eine ganze Zahl von 0 bis {n}",
    "expected the beacon's 32-bit seconds counter":
        "erwartet: der Sekundenzähler des Funksenders, 32 Bit",
    "expected when the counter was read, such as 2026-03-01T09:00:00Z":
        "erwartet: wann der Zähler gelesen wurde, wie 2026-03-01T09:00:00Z",
}  # fmt: skip
SUMMARY: Final = {
    "warning": "Warnung",
    "fine": "in Ordnung",
    "no problem": "kein Fehler",
    "{items} found": "{items} gefunden",
    "{n} problem": "{n} Fehler",
    "{n} problems": "{n} Fehler",
    "{n} warning": "{n} Warnung",
    "{n} warnings": "{n} Warnungen",
    "{n} zone": "{n} Zone",
    "{n} zones": "{n} Zonen",
    "{n} receiver": "{n} Funkempfänger",
    "{n} receivers": "{n} Funkempfänger",
    "{n} beacon": "{n} Funksender",
    "{n} beacons": "{n} Funksender",
    "{n} fence": "{n} Außenbereich",
    "{n} fences": "{n} Außenbereiche",
    "{n} recipient": "{n} Empfänger der Daten",
    "{n} recipients": "{n} Empfänger der Daten",
    "{n} consent records in {file}": "{n} Einwilligungen in {file}",
    "no consents, it only relays": "keine Einwilligungen, es gibt nur weiter",
    "consents over MQTT from {name}": "Einwilligungen über MQTT von {name}",
    "consents over HTTP from {name}": "Einwilligungen über HTTP von {name}",
    "consents over MQTT from {name}, signed":
        "Einwilligungen über MQTT von {name}, signiert",
    "consents over HTTP from {name}, signed":
        "Einwilligungen über HTTP von {name}, signiert",
    "Not looked at, only the service may: {names}":
        "Nicht angesehen, das darf nur der Dienst: {names}",
    "{n} irk: or eid: identities have no key and identify nobody":
        "{n} Identitäten (irk:, eid:) haben keinen Schlüssel und stehen für niemanden",
    "{a} and {b} may both hear of {names}":
        "{a} und {b} dürfen beide von {names} erfahren",
    "by zone and time alone they find out who is the same person: docs/privacy.md":
        "allein nach Zone und Zeit finden sie heraus, wer dieselbe Person ist: docs/privacy.md",
    "not reported before a walk, as they have no place: {names}":
        "vor einem Rundgang nicht gemeldet, weil sie keinen Ort haben: {names}",
    "the map has changed since {file} was walked":
        "die Karte hat sich seit dem Rundgang zu {file} geändert",
    "walk again": "noch einmal gehen",
    "{file} is of an older form: its outside_evidence favours places under `predicted`, and there are none":
        "{file} hat eine ältere Form: outside_evidence begünstigt Orte unter `predicted`, und es gibt "
        "keine",
    "walk again, or move the spots of `outside` where nobody stood to `predicted`":
        "noch einmal gehen, oder die Stellen von `outside`, an denen niemand stand, zu `predicted` "
        "verschieben",
    "in {file} and no zones of the map any more: {names}":
        "in {file} und keine Zonen der Karte mehr: {names}",
    "not in {file} and therefore not reported, somebody there is outside: {names}":
        "nicht in {file} und deshalb nicht gemeldet, wer dort ist, gilt als draußen: {names}",
    "not in {file} and therefore not listened to for zones: {names}":
        "nicht in {file} und deshalb für Zonen nicht gehört: {names}",
}  # fmt: skip

CLAUSES: Final = ANSWERS | FILES | VALUES | MAP | OUTLINES | SETTINGS | CONSENT | SECRETS | SUMMARY
