"""The plan of a site: what is on it, where, and that its words fit and are escaped. Looked at in a browser as well."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from test_settings import site_of

from gateway.cli import main
from gateway.drawing import PLAN_WORDS, panels, plan
from gateway.drawing.labels import Box, Room, chord, width_px
from gateway.drawing.sheet import frame_of, nice_m
from gateway.model import Circle, Fence, SiteMap
from gateway.settings import load_site

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"


def drawn(site: SiteMap) -> ElementTree.Element:
    return ElementTree.fromstring(plan(site))  # noqa: S314 - our own


def words(picture: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()).strip() for text in picture.iter(f"{SVG}text")]


def marks(picture: ElementTree.Element, attribute: str) -> dict[str, ElementTree.Element]:
    return {e.get(attribute, ""): e for e in picture.iter() if e.get(attribute)}


def test_everything_of_the_example_is_on_it() -> None:
    picture = drawn(load_site(ROOT / "config" / "store"))
    zones = {"aisle-1", "cereals", "coffee", "aisle-2", "cleaning", "batteries", "entrance", "checkout"}
    assert marks(picture, "data-zone").keys() == zones | {"car-park", "pump"}
    assert marks(picture, "data-anchor").keys() == {"pi-01", "pi-02", "pi-03", "pi-04", "shelf-07"}
    said = words(picture)
    assert {"ground", "Breakfast", "cereals", "Car park", "Pump 1", "pi-03", "10 m", "20 m", "N"} <= set(said)
    assert {"shelf", "entrance", "checkout", "car park", "pump", "receiver", "beacon"} <= set(said)


def test_the_same_map_gives_the_same_picture() -> None:
    assert plan(load_site(ROOT / "config" / "store")) == plan(load_site(ROOT / "config" / "store"))


def test_a_metre_is_as_long_everywhere_and_up_is_up(tmp_path: Path) -> None:
    """A zone of 4 by 2 m whose lower left corner is at (10, 5), on a floor of 40 by 20 m."""
    site = site_of(tmp_path, "floors: [{id: g, bounds: [[0, 0], [40, 20]], zones: [{id: z, kind: shelf,"
                   " polygon: [[10, 5], [14, 5], [14, 7], [10, 7]]}]}]")  # fmt: skip
    picture = drawn(site)
    wall = next(e for e in picture.iter(f"{SVG}rect") if e.get("class") == "wall")
    px_a_m = float(wall.get("width", "")) / 40
    assert float(wall.get("height", "")) == pytest.approx(20 * px_a_m, abs=0.1)
    numbers = [float(n) for n in re.findall(r"[\d.]+", marks(picture, "data-zone")["z"].get("d", ""))]
    left, bottom = min(numbers[::2]), max(numbers[1::2])
    assert left == pytest.approx(float(wall.get("x", "")) + 10 * px_a_m, abs=0.1)
    floor_px = float(wall.get("y", "")) + float(wall.get("height", ""))
    assert bottom == pytest.approx(floor_px - 5 * px_a_m, abs=0.1)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("<script>alert(1)</script>", "<script>alert(1)</script>"), ("Käse & Wein", "Käse & Wein"),
     ('a" onload="x', 'a" onload="x')],
)  # fmt: skip
def test_a_name_is_text_and_nothing_else(tmp_path: Path, name: str, shown: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    site = site_of(
        tmp_path,
        f'floors: [{{id: g, zones: [{{id: z, kind: shelf, name: "{quoted}", '
        "polygon: [[0, 0], [30, 0], [30, 10], [0, 10]]}]}]",
    )
    picture = drawn(site)
    assert shown in " ".join(words(picture))
    assert not any(e.tag.endswith("script") or e.get("onload") for e in picture.iter())


def test_a_control_character_does_not_break_the_document() -> None:
    fence = Fence("f", "pump", "bell \x07 \ufffe", circle=Circle(50, 7, 20))
    assert "bell" in " ".join(words(drawn(SiteMap("s", fences=(fence,)))))


def test_a_zone_too_small_for_its_name_has_a_number_that_is_explained(tmp_path: Path) -> None:
    zones = ", ".join(
        f"{{id: z{i}, kind: shelf, name: Wasch- und Reinigungsmittel {i}, "
        f"polygon: [[{i * 3}, 0], [{i * 3 + 1}, 0], [{i * 3 + 1}, 1], [{i * 3}, 1]]}}"
        for i in range(13)
    )
    said = words(
        drawn(site_of(tmp_path, f"floors: [{{id: g, bounds: [[0, 0], [42, 28]], zones: [{zones}]}}]"))
    )
    explained = [text for text in said if re.fullmatch(r"\d+\s+Wasch- und Reinigungsmittel \d+", text)]
    assert len(explained) == 13
    assert {str(n) for n in range(1, 14)} <= set(said)


def test_what_has_no_place_is_named(tmp_path: Path) -> None:
    site = site_of(tmp_path, "floors: [{id: g, zones: [{id: lost, kind: shelf}, {id: all, kind: aisle},"
                   " {id: part, kind: shelf, at: [1, 1], part_of: all}]}]\n"
                   "receivers: [{id: r1, floor: g}, {id: r2, floor: g, at: [0, 0]}]")  # fmt: skip
    assert "without a place: lost, r1" in words(drawn(site))


def test_fences_far_apart_get_pictures_of_their_own() -> None:
    near = [Fence(f"n{i}", "pump", f"n{i}", circle=Circle(50.0 + i * 0.002, 7.0, 20)) for i in range(3)]
    far = Fence("far", "car_park", "far", circle=Circle(50.5, 7.0, 20))
    other_side = Fence("o", "car_park", "o", circle=Circle(50.0, 7.1, 20))
    titles = [panel for panel in panels(SiteMap("s", fences=(*near, far, other_side))) if panel.title]
    assert ["data-zone" in panel.body for panel in titles] == [True] * 3
    assert [len(set(re.findall(r'data-zone="(\w+)"', panel.body))) for panel in titles] == [3, 1, 1]


def test_a_picture_across_the_antimeridian_is_whole() -> None:
    ring = ((-17.0, 179.999), (-17.0, -179.999), (-16.999, -179.999), (-16.999, 179.999))
    (picture, _) = panels(SiteMap("s", fences=(Fence("f", "car_park", "Fiji", ((ring,),)),)))
    numbers = [float(n) for n in re.findall(r"[\d.]+", picture.body.split(' d="')[1].split('"')[0])]
    wide, high = max(numbers[::2]) - min(numbers[::2]), max(numbers[1::2]) - min(numbers[1::2])
    assert wide / high == pytest.approx(0.002 * 0.9563 / 0.001, rel=0.01)


def test_many_fences_are_drawn_in_part_and_counted() -> None:
    fences = tuple(
        Fence(f"f{i}", "pump", f"f{i}", circle=Circle(50 + i * 0.00005, 7, 5)) for i in range(2000)
    )
    assert "and 1940 more fences" in words(drawn(SiteMap("s", fences=fences)))


def test_words_on_a_picture_do_not_lie_on_each_other() -> None:
    room = Room(400, 400)
    square = [(10.0, 10.0), (390.0, 10.0), (390.0, 390.0), (10.0, 390.0)]
    labels = [room.inside(square, f"a long name {n}") for n in range(20)]
    boxes = [label.box for label in labels if label is not None]
    assert len(boxes) >= 5
    assert not any(a.meets(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(
    ("ring", "y", "row"),
    [
        ([(0.0, 0.0), (10.0, 0.0), (10.0, 5.0), (0.0, 5.0)], 2.0, (0.0, 10.0)),
        ([(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (8.0, 10.0), (8.0, 2.0), (0.0, 2.0)], 5.0, (8.0, 10.0)),
        ([(0.0, 0.0), (10.0, 0.0), (5.0, 10.0)], 5.0, (2.5, 7.5)),
        ([(0.0, 0.0), (10.0, 0.0), (5.0, 10.0)], 11.0, None),
    ],
)
def test_rows_of_a_shape(ring: list[tuple[float, float]], y: float, row: object) -> None:
    assert chord(ring, y) == row


@pytest.mark.parametrize(
    ("most", "nice"), [(0.7, 0.5), (3.9, 2.0), (10.0, 10.0), (99.0, 50.0), (1234.0, 1000.0)]
)
def test_round_lengths(most: float, nice: float) -> None:
    assert nice_m(most) == nice


def test_a_floor_as_long_as_a_hall_fits() -> None:
    frame = frame_of([(0, 0), (500, 3)], width_px=800, most_px=600, x_px=0, y_px=0)
    assert (frame.width_px, frame.px_a_m) == (800, 1.6)
    assert Box(0, 0, width_px("Müsli", 10), 1).right > 20


def test_the_verb(tmp_path: Path) -> None:
    out = tmp_path / "plan.svg"
    store = str(ROOT / "config" / "store")
    assert CliRunner().invoke(main, ["map", store, "--out", str(out), "--lang", "de"]).exit_code == 0
    assert PLAN_WORDS["de"].kinds["car_park"] in out.read_text("utf-8")
    again = CliRunner().invoke(main, ["map", store, "--out", str(out)])
    assert (again.exit_code, "is there already" in again.output) == (1, True)
    shown = CliRunner().invoke(main, ["map", store])
    assert shown.output == plan(load_site(Path(store)))
