"""`gateway check`: planted mistakes of every kind, each with the words in which it is named."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway import located
from gateway.cli import main
from gateway.errors import ConfigError
from gateway.profiles import Profiles, load_profiles, profiles_of
from gateway.verbs.check import look

ROOT = Path(__file__).parent.parent
STORE, DEMO = ROOT / "config" / "store", ROOT / "config" / "demo"
PLANTED = sorted(p for p in (ROOT / "tests" / "broken_configs").iterdir() if p.is_dir())
SETTINGS = "gateway: {id: pi-01}\nconsent: {feed: {file: consent.yaml}}\n"


@pytest.fixture(scope="module")
def shipped() -> Profiles:
    return load_profiles()


def laid_out(case: Path, folder: Path) -> None:
    """What a case leaves out is right: the map of config/store, settings that say nothing, nobody enrolled."""
    shutil.copy(STORE / "site.yaml", folder)
    (folder / "gateway.yaml").write_text(SETTINGS)
    (folder / "consent.yaml").write_text("[]\n")
    shutil.copytree(case, folder, dirs_exist_ok=True)


@pytest.mark.parametrize("case", PLANTED, ids=lambda p: p.name)
def test_every_mistake_is_named_with_its_place(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shipped: Profiles
) -> None:
    laid_out(case, tmp_path)
    monkeypatch.chdir(tmp_path)
    found = look(Path(), profiles=None if (case / "profiles").exists() else shipped)
    text = "\n".join(found.text()) + "\n"
    assert text.splitlines() == (case / "expected.txt").read_text("utf-8").splitlines()
    named = [*found.problems, *found.warnings]
    assert named
    assert {p.file for p in named} <= {str(p.relative_to(case)) for p in case.rglob("*")}


def test_there_are_forty_kinds_and_more() -> None:
    lines = [line for case in PLANTED for line in (case / "expected.txt").read_text().splitlines()]
    texts = {line.split(": ", 2)[-1] for line in lines if not line.startswith(" ")}
    assert len(PLANTED) >= 40
    assert len(texts) >= 100


def check(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", str(folder), *options])


def test_the_summary_when_all_is_fine() -> None:
    result = check(DEMO)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"{DEMO}: fine. 10 zones, 7 receivers, 0 beacons, 1 fence, 2 recipients, "
        "5 consent records in consent.yaml.\n"
    )


def test_a_warning_does_not_keep_a_gateway_from_starting(tmp_path: Path) -> None:
    laid_out(ROOT / "tests" / "broken_configs" / "same-place", tmp_path)
    result = check(tmp_path)
    assert result.exit_code == 0
    assert "no problem. 2 zones" in result.stdout
    assert "warning: floors.g.zones.eggs.at: at the same place as 'milk'" in result.stderr


def test_json(tmp_path: Path) -> None:
    laid_out(ROOT / "tests" / "broken_configs" / "unknown-key", tmp_path)
    result = check(tmp_path, "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, result.stderr, said["fine"], said["summary"]) == (1, "", False, None)
    first = said["problems"][0]
    assert {"file", "line", "column", "key", "text", "source", "is_warning"} == first.keys()
    assert json.loads(check(STORE, "--json").stdout)["summary"]["zones"] == 8


# --- files that are no configuration ---


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 << 20)


def directory(path: Path) -> None:
    path.mkdir()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere.yaml")


def laughs(path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path.write_text("\n".join(lines))


def brackets(path: Path) -> None:
    path.write_text("[" * 200_000)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (huge, "larger than 1 MiB (104,857,600 bytes)"),
        (directory, "expected a file, this is a directory"),
        (fifo, "expected an ordinary file"),
        (dangling, "no such file"),
        (laughs, "aliases expand to more than 100,000 values"),
        (brackets, "nested deeper than 50 levels"),
    ],
)
@pytest.mark.parametrize("name", ["site.yaml", "gateway.yaml", "consent.yaml"])
def test_what_is_no_file_of_a_configuration(
    tmp_path: Path, name: str, made: Callable[[Path], None], words: str, shipped: Profiles
) -> None:
    laid_out(PLANTED[0].parent / "empty-file", tmp_path)
    shutil.copy(STORE / "site.yaml", tmp_path)
    (tmp_path / name).unlink()
    made(tmp_path / name)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = look(tmp_path, profiles=shipped)
    assert [p.text for p in found.problems if p.file.endswith(name)] == [words]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kb < 50 << 10


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look finds it longer than the one before; once it rests it is read."""
    path = tmp_path / "site.yaml"
    path.write_text("site: {id: s}\n")
    real, writes = os.fstat, [3]

    def fstat(descriptor: int) -> os.stat_result:
        if writes[0]:
            writes[0] -= 1
            with path.open("a") as file:
                file.write("# more\n")
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(ConfigError, match="changes while it is read; try again when it is written"):
        located.load(path)
    assert located.load(path).data == {"site": {"id": "s"}}


# --- how long it takes ---


def test_a_map_of_a_thousand_lines_is_checked_in_a_second_and_a_half(tmp_path: Path) -> None:
    """The whole command, of processor time: what else the machine does is not the map's fault."""
    zone = "      - {{id: shelf-{n}, kind: shelf, polygon: [[{x}, {y}], [{x2}, {y}], [{x2}, {y2}], [{x}, {y2}]]}}\n"
    fence = "  - {{id: lot-{n}, kind: car_park, circle: {{at: [50.9{n:03d}, 6.95], radius_m: 15}}}}\n"
    lines = ["site: {id: s}\nfloors:\n  - id: g\n    zones:\n"]
    for n in range(600):
        x, y = 4 * (n % 30), 3 * (n // 30)
        lines.append(zone.format(n=n, x=x, y=y, x2=x + 3, y2=y + 1))
    lines.append("receivers:\n")
    lines += [f"  - {{id: r{n}, floor: g, at: [{8 * (n % 15)}, {12 * (n // 15)}]}}\n" for n in range(75)]
    lines.append("fences:\n")
    lines += [fence.format(n=n) for n in range(320)]
    (tmp_path / "site.yaml").write_text("".join(lines))
    (tmp_path / "gateway.yaml").write_text(SETTINGS)
    (tmp_path / "consent.yaml").write_text("[]\n")
    spent_s: list[float] = []
    while len(spent_s) < 6 and (not spent_s or min(spent_s) > 1.5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "check", tmp_path], check=False, capture_output=True, cwd=ROOT
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        spent_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent_s) <= 1.5


def test_profiles_of_ones_own_are_checked_too(tmp_path: Path) -> None:
    laid_out(ROOT / "tests" / "broken_configs" / "own-profile", tmp_path)
    with pytest.raises(ConfigError, match=r"profiles/lorry\.yaml"):
        profiles_of(tmp_path)


def test_what_the_consent_file_says_of_people_is_not_repeated(tmp_path: Path, shipped: Profiles) -> None:
    """A reload logs problems, and no log names anybody."""
    laid_out(ROOT / "tests" / "broken_configs" / "consent-identities", tmp_path)
    named = ("kate-4711", "vehicle:kate", "ibeacon:x")
    (tmp_path / "consent.yaml").write_text(
        "- {subject: [kate-4711], version: 1}\n"
        "- {subject: a, version: kate-4711, identities: vehicle:kate}\n"
        "- {subject: a, version: 1, identities: [[ibeacon:x]], age: kate-4711}\n"
    )
    found = look(tmp_path, profiles=shipped)
    assert len(found.problems) == 5
    (tmp_path / "consent.yaml").write_text(
        "- {subject: kate-4711, version: 1, identities: [vehicle:kate, ibeacon:x]}\n"
    )
    texts = [str(p) for p in [*found.problems, *look(tmp_path, profiles=shipped).warnings]]
    assert len(texts) >= 7
    assert [text for text in texts for name in named if name in text] == []
