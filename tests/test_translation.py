"""What `check` says in German: every sentence that the rules can say has a German one, with the same names, numbers
and places."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from click.testing import CliRunner
from test_check import PLANTED, laid_out

from gateway.cli import main
from gateway.profiles import Profiles, load_profiles
from gateway.translation.german import CLAUSES
from gateway.translation.language import language_of
from gateway.translation.sentences import translated
from gateway.verbs.check import look

ROOT = Path(__file__).parent.parent
RULES = [
    *(ROOT / "gateway" / "settings").glob("*.py"),
    *(ROOT / "gateway" / "review").glob("*.py"),
    *(ROOT / "gateway" / f"{name}.py" for name in ("located", "validated", "credentials", "verbs/check")),
    *(
        ROOT / "gateway" / f"{name}.py"
        for name in ("calibration/remarks", "consent/records", "sinks/signing")
    ),
    *(ROOT / "gateway" / f"{name}.py" for name in ("consent/signature", "consent/keys")),
]
NOT_RULES = {"reference.py", "schemas.py", "restarts.py"}
"""What they say stands in documents, in schemas and in the log."""
PROFILES_ONLY = {"own-profile"}
"""Firmware profiles have a language of their own, which is English."""


@pytest.fixture(scope="module")
def shipped() -> Profiles:
    return load_profiles()


@pytest.mark.parametrize("case", [p for p in PLANTED if p.name not in PROFILES_ONLY], ids=lambda p: p.name)
def test_every_planted_mistake_is_named_in_german_at_the_same_place(
    case: Path, tmp_path: Path, shipped: Profiles
) -> None:
    laid_out(case, tmp_path)
    found = look(tmp_path, shipped)
    assert [p.text for p in (*found.problems, *found.warnings) if translated(p.text, "de") == p.text] == []
    english, german = "\n".join(found.text()).splitlines(), "\n".join(found.text("de")).splitlines()
    assert len(english) == len(german)
    assert [line for line in german if ", got " in line] == []
    assert [place(line) for line in german] == [place(line) for line in english]


def place(line: str) -> str:
    """Of a problem where it is; of the line of the file and its caret all."""
    found = re.match(r"\S+:\d+:\d+:|    .*", line)
    return found[0] if found else ""


@pytest.mark.parametrize(("english", "german"), CLAUSES.items(), ids=list(CLAUSES))
def test_what_is_filled_in_is_the_same_in_both(english: str, german: str) -> None:
    assert set(names(english)) == set(names(german))
    assert "; " not in english, "that is two clauses"


def names(template: str) -> Iterator[str]:
    return (name for _, name, _, _ in Formatter().parse(template) if name is not None)


def test_every_sentence_of_the_rules_is_in_the_catalogue() -> None:
    """Of each text in their source, filled-in places left open, every clause is one, or a part of one."""
    unknown = [
        f"{path.name}:{line}: {clause}"
        for path in RULES
        if path.name not in NOT_RULES
        for line, text in texts(path)
        for clause in text.partition(", got ")[0].split("; ")
        if is_said(clause) and not is_known(clause)
    ]
    assert unknown == []


KNOWN = "\n".join(re.sub(r"(?<!\{)\{\w+\}", "{}", english) for english in CLAUSES)


def is_known(clause: str) -> bool:
    filled = clause.replace("{}", "x")
    whole = any(translated(text, "de") != text for text in (filled, f"expected {filled}"))
    return whole or re.search(open_places(clause), KNOWN.replace("{{", "{").replace("}}", "}")) is not None


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The literals of a module that are no docstrings, with their lines; `{}` where something is filled in."""
    tree = ast.parse(path.read_text())
    apart: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            apart.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            apart |= {id(value) for value in node.values}
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("re.compile", "re.fullmatch"):
            apart |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.Assign) and "_SYNTAX" in map(ast.unparse, node.targets):
            pairs = [
                pair for pair in ast.walk(node.value) if isinstance(pair, ast.Tuple) and len(pair.elts) == 2
            ]
            apart |= {id(pair.elts[0]) for pair in pairs}  # what libyaml says
    for node in ast.walk(tree):
        if id(node) in apart:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = (v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


NOT_SAID = {
    "while scanning a simple key", "while scanning a quoted scalar", "Input should be",  # what libraries say
    "[longitude, latitude] in GeoJSON", "key, exponent, beacon_time_s, at",  # names, not words
    "{} is lost while {}/outbox.sqlite still has what it signed", "restore the key, or move the store away to "
    "begin a new generation",  # a start alone can tell
    "{} belongs to another user", "chown it to root or to the gateway's",  # `check` says: not looked at
    "16 bytes, 32 hex digits.", "IdentityKeys({} irk, {} eid, {} bind)", "calibration: {}\n",
}  # fmt: skip


def is_said(clause: str) -> bool:
    """Two words or more, in a sentence that is not in the library's words or a file's heading."""
    words = re.findall(r"[a-z]+", re.sub(r"\{\}", "", clause))
    return len(words) > 1 and " " in clause.strip() and clause not in NOT_SAID and clause[:1] not in "#^"


def open_places(clause: str) -> str:
    """Of a clause as a rule has it: what it fills in may be anything in the catalogue, several words too."""
    single, known = clause.strip(" ,").replace("{{", "{").replace("}}", "}"), r"\{\w*\}"
    return ".*?".join(map(re.escape, re.split(known, single)))


@pytest.mark.parametrize(
    ("text", "german"),
    [
        ("unknown zone 'a'; did you mean b?", "unbekannte Zone 'a'; ist b gemeint?"),
        ("expected a number or a list, got 'x'", "erwartet: eine Zahl oder eine Liste, hier steht 'x'"),
        (
            "expected low, normal or high, got 'mid'; did you mean high?",
            "erwartet: low, normal oder high, hier steht 'mid'; ist high gemeint?",
        ),
        ("must be at most 9, got 'x, got 10'", "darf höchstens 9 sein, hier steht 'x, got 10'"),
        ("expected a list, got a mapping", "erwartet: eine Liste, hier steht Schlüssel mit Werten"),
        ("never recognised: expected ibeacon:<uuid>", "wird nie erkannt: erwartet: ibeacon:<uuid>"),
        ("2 problems, 1 warning found", "2 Fehler, 1 Warnung gefunden"),
        ("this sentence was never heard", "this sentence was never heard"),
        ("unknown key; and never heard", "unknown key; and never heard"),
        ("unknown zone 'a; b'", "unknown zone 'a; b'"),
    ],
)
def test_a_sentence_is_german_as_a_whole_or_stays_as_it_is(text: str, german: str) -> None:
    assert translated(text, "de") == german
    assert translated(text, "en") == text


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "de"}, "de"),
        ({"LANG": "DE-at"}, "de"),
        ({"LANG": "den_CA"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "en_GB"}, "en"),
        ({"LANG": "fr_FR", "LC_MESSAGES": "de_CH"}, "de"),
        ({"LANG": "de_DE", "LC_MESSAGES": "de_DE", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE", "LC_ALL": ""}, "de"),
    ],
)
def test_the_language_is_that_of_the_environment(environ: dict[str, str], language: str) -> None:
    assert language_of(environ) == language


def test_check_speaks_the_language_that_is_asked_for(tmp_path: Path) -> None:
    laid_out(ROOT / "tests" / "broken_configs" / "same-place", tmp_path)

    def said(*options: str, **environ: str) -> str:
        done = CliRunner().invoke(main, ["check", str(tmp_path), *options], env={"LC_ALL": "C"} | environ)
        assert done.exit_code == 0, done.output
        return done.output

    assert "Warnung: floors.g.zones.eggs.at: am selben Ort wie 'milk'" in said(LC_ALL="de_DE.UTF-8")
    assert "kein Fehler. 2 Zonen" in said("--lang", "de")
    assert "warning: floors.g.zones.eggs.at: at the same place" in said("--lang", "en", LC_ALL="de_DE.UTF-8")
    assert "at the same place as 'milk'" in said("--json", LC_ALL="de_DE.UTF-8"), "JSON is for programs"
