"""YAML with places: what a file means, what is refused, and where a problem points."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.errors import ConfigError
from gateway.located import Document, did_you_mean, load
from gateway.validated import validate


def read(tmp_path: Path, text: str | bytes, **options: Any) -> Document:
    file = tmp_path / "f.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(file, name="f.yaml", **options)


def refusal(tmp_path: Path, text: str | bytes, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text, **options)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10:20:30:40:50:11", "10:20:30:40:50:11"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("2026-01-31", "2026-01-31"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("b827eb4521b4", "b827eb4521b4"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("'null'", "null"),
        ("!!str 3", "3"),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("-12", -12),
        ("+.5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        ("1" * 400, math.inf),
        ("[1, {a: b}]", [1, {"a": "b"}]),
        ("'a'  # note", "a"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_scalars_follow_the_yaml_1_2_core_schema(tmp_path: Path, written: str, meant: object) -> None:
    value = read(tmp_path, f"key: {written}").data["key"]
    assert (type(value), value) == (type(meant), meant)


def test_nan_is_read_and_left_to_the_schema(tmp_path: Path) -> None:
    assert math.isnan(read(tmp_path, "key: .nan").data["key"])


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    document = read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: [2,\r\n  3]\r\n")
    assert document.data == {"a": 1, "b": [2, 3]}
    assert str(document.problem(("b", 1), "wrong")) == "f.yaml:3:3: b.1: wrong"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f.yaml:1:1: the file is empty"),
        ("# nothing\n", "f.yaml:1:1: the file is empty"),
        ("- a\n", "f.yaml:1:1: expected a mapping (key: value), got a list of 1"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: a tab; YAML indents with spaces only"),
        ("a: 'x\nb: 1\n", "f.yaml:1:4: the quote that opens here is never closed"),
        ("a: b: c\n", "f.yaml:1:5: a second `: ` here: wrong indentation, or text that needs quotes"),
        ("a: 1\nb\nc: 1\n", "f.yaml:2:1: neither `key: value` nor `- item`; is `: ` missing?"),
        ("x: {a: 1\ny: 2\n", "f.yaml:2:2: expected `,` or `}`: the `{` on line 1 is still open"),
        (
            "a: {}\n  - 1\n",
            "f.yaml:2:3: the indentation fits nothing above; check the spaces and list dashes",
        ),
        ("a: @b\n", "f.yaml:1:4: a value cannot start with this character; put the text in quotes"),
        ("a: {b:}\n", "f.yaml:1:6: a `:` without a space after it; put the text in quotes"),
        ("a: *\n", "f.yaml:1:5: `&` or `*` without a name; put the text in quotes"),
        ('a: "C:\\Temp"\n', "f.yaml:1:7: no such escape; inside double quotes a backslash is written `\\\\`"),
        ('a: "C:\\x"\n', "f.yaml:1:9: no such escape; inside double quotes a backslash is written `\\\\`"),
        ("a: [1\nb", "f.yaml:2:2: expected `,` or `]`: the `[` on line 1 is still open"),
        ("a: x\u2028y\n", "f.yaml:1:5: control character U+2028; is this a text file?"),
        ("a: !thing 1\n", "f.yaml:1:4: the tag !thing is not used here; remove it"),
        ("? [1]\n: 2\n", "f.yaml:1:3: a key must be plain text"),
        ("a: *x\n", "f.yaml:1:4: the alias *x has no anchor before it"),
        ("a: &x [*x]\n", "f.yaml:1:8: the alias *x refers to what contains it"),
        (b"a: 1\nb: \xc3\xa4\xff\n", "f.yaml:2:5: not UTF-8 from here; save the file as UTF-8"),
        ("a: ä\n".encode("utf-16-be"), "f.yaml:1:1: this is UTF-16; save the file as UTF-8"),
        (b"a: 1\nb: \x00\n", "f.yaml:2:4: control character U+0000; is this a text file?"),
    ],
)
def test_refusals_say_where_and_what(tmp_path: Path, text: str | bytes, problem: str) -> None:
    assert refusal(tmp_path, text)[0] == problem


ROOT = Path(__file__).parent.parent
WRITTEN = [path.read_text() for path in sorted(ROOT.glob("config/*/*.yaml"))]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(WRITTEN), st.data())
def test_a_damaged_file_is_read_or_refused_at_a_place_it_has(tmp_path: Path, text: str, data: Any) -> None:
    for _ in range(3):
        at = data.draw(st.integers(0, len(text)))
        added = data.draw(st.text("\t\n -:,?#&*!|>'\"%@[]{}\\~0aä", max_size=2))
        text = text[:at] + added + text[at + data.draw(st.integers(0, 40)) :]
    try:
        read(tmp_path, text, top=None)
    except ConfigError as refused:
        lines = text.split("\n")
        for problem in refused.problems:
            assert problem.column <= len(lines[problem.line - 1]) + 1, problem


def test_the_reader_in_plain_python_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [*ROOT.glob("config/*/*.yaml"), *ROOT.glob("firmware_profiles/[a-f]*.yaml")]
    quick = [load(file, top=None).data for file in files]
    monkeypatch.setattr("gateway.located._Loader", yaml.SafeLoader)
    assert [load(file, top=None).data for file in files] == quick


def test_all_duplicate_keys_are_named_with_both_lines(tmp_path: Path) -> None:
    assert refusal(tmp_path, "a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        "f.yaml:2:11: c: duplicate key; it is on line 2 already",
        "f.yaml:3:1: a: duplicate key; it is on line 1 already",
    ]


def test_what_is_no_ordinary_file(tmp_path: Path) -> None:
    for path, text in [
        (tmp_path, "f.yaml:1:1: expected a file, this is a directory"),
        (tmp_path / "absent", "f.yaml:1:1: no such file"),
        (Path("/dev/null"), "f.yaml:1:1: expected an ordinary file"),
    ]:
        with pytest.raises(ConfigError) as refused:
            load(path, name="f.yaml")
        assert str(refused.value) == text


def test_limits(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"#" * ((1 << 20) + 1)) == ["f.yaml:1:1: larger than 1 MiB (1,048,577 bytes)"]
    assert read(tmp_path, "a: " + "[" * 50 + "]" * 50).data
    assert refusal(tmp_path, "a: " + "[" * 51 + "]" * 51) == ["f.yaml:1:54: nested deeper than 50 levels"]
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{of}'] * 10)}]\n"
        for of, name in zip("abcdef", "bcdefg", strict=True)
    )
    assert refusal(tmp_path, bomb)[0].endswith("aliases expand to more than 100,000 values")


def test_aliases_share_a_value_and_keep_their_own_place(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &x {n: 1}\nb: *x\n")
    assert document.data == {"a": {"n": 1}, "b": {"n": 1}}
    assert str(document.problem(("b",), "wrong")) == "f.yaml:2:4: b: wrong"


def test_the_top_level_may_be_a_list_or_anything(tmp_path: Path) -> None:
    assert read(tmp_path, "- a\n", top=list).data == ["a"]
    assert read(tmp_path, "word\n", top=None).data == "word"
    assert refusal(tmp_path, "a: 1\n", top=list) == ["f.yaml:1:1: expected a list (- item), got a mapping"]


FLOORS = """\
floors:
  - id: ground
    zones:
      - {id: cereals, kind: shelf}
      - {kind: shelf}
  - profile: ruuvi
    empty:
"""


@pytest.mark.parametrize(
    ("path", "at_key", "shown"),
    [
        (("floors", 0, "zones", 0, "kind"), False, "4:29: floors.ground.zones.cereals.kind"),
        (("floors", 0, "zones", 0, "kind"), True, "4:23: floors.ground.zones.cereals.kind"),
        (("floors", 0, "zones", 1), False, "5:9: floors.ground.zones.1"),
        (("floors", "a-tag", 0, "zones", "list[Zone]", 1, "kind"), True, "5:10: floors.ground.zones.1.kind"),
        (("floors", 0, "zones", 1, "id"), True, "5:9: floors.ground.zones.1"),
        (("floors", 1, "empty"), False, "7:5: floors.ruuvi.empty"),
        (("floors", 9), False, "2:3: floors"),
    ],
)
def test_a_problem_points_as_far_as_the_file_goes(
    tmp_path: Path, path: tuple[str | int, ...], at_key: bool, shown: str
) -> None:
    problem = read(tmp_path, FLOORS).problem(path, "wrong", at_key=at_key)
    assert str(problem) == f"f.yaml:{shown}: wrong"
    assert problem.source == FLOORS.splitlines()[problem.line - 1]


def _even(n: int) -> int:
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    leave_after: int
    even: Annotated[int, AfterValidator(_even)] = 0
    kind: Literal["shelf", "aisle"] = "shelf"
    few: list[int] = Field(default=[], max_length=2)
    pair: tuple[int, int] = (0, 0)
    share: float = Field(default=0.5, gt=0, lt=1, allow_inf_nan=False)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner | None = None
    many: dict[str, list[Inner]] = Field(default={}, alias="plenty")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "inner: {leav_after: 1}",
            [
                "1:8: inner: missing key 'leave_after'",
                "1:9: inner.leav_after: unknown key; did you mean leave_after?",
            ],
        ),
        ("colour: red", ["1:1: colour: unknown key; known here: inner, plenty"]),
        (
            "plenty: {a: [{leave_after: 1, knd: x}]}",
            ["1:31: plenty.a.0.knd: unknown key; did you mean kind?"],
        ),
        ("inner: {leave_after: abc}", ["1:22: inner.leave_after: expected a whole number, got 'abc'"]),
        ("inner: {leave_after: 1, even: 3}", ["1:31: inner.even: 3 is odd"]),
        (
            "inner: {leave_after: 1, kind: isle}",
            ["1:31: inner.kind: expected shelf or aisle, got 'isle'; did you mean aisle?"],
        ),
        (
            "inner: {leave_after: 1, few: [1, 2, 3]}",
            ["1:30: inner.few: takes 2 items at most, got a list of 3"],
        ),
        ("inner: {leave_after: 1, pair: [1]}", ["1:31: inner.pair: item 2 is missing"]),
        ("inner: {leave_after: 1, share: 1}", ["1:32: inner.share: must be less than 1, got 1"]),
        ("inner: {leave_after: 1, share: .nan}", ["1:32: inner.share: expected a finite number, got nan"]),
        ("inner: [1]", ["1:8: inner: expected a mapping, got a list of 1"]),
        ("plenty: {1: []}", ["1:10: plenty.1: expected text, got 1; put it in quotes"]),
    ],
)
def test_schema_errors_in_an_operators_words(tmp_path: Path, text: str, problems: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        validate(read(tmp_path, text), Outer)
    assert [str(p).removeprefix("f.yaml:") for p in refused.value.problems] == problems


def test_validate_takes_any_type_that_pydantic_understands(tmp_path: Path) -> None:
    document = read(tmp_path, "- {leave_after: 1}\n- {leave_after: x}\n", top=list)
    with pytest.raises(ConfigError, match=r"^f.yaml:2:17: 1.leave_after: expected a whole number, got 'x'$"):
        validate(document, list[Inner])
    assert validate(read(tmp_path, "[{leave_after: 1}]", top=list), list[Inner])[0].leave_after == 1


def test_look_alikes() -> None:
    assert did_you_mean("cereal", ["coffee", "cereals"]) == "; did you mean cereals?"
    assert did_you_mean("Car_Park", ["car-park"]) == "; did you mean car-park?"
    assert did_you_mean("toys", ["coffee", "cereals"]) == ""
