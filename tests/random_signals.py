"""Random signals for the core's tests: readings and fixes of two subjects, in a shop with a yard."""

from __future__ import annotations

from core_words import T0, changed, degrees, disc, shop, square
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.model import Fix, Observation, Reading, SiteMap

SITE = SiteMap(
    "both",
    zones=shop(dwell=[5, 20], leave_after=10).zones,
    receivers=shop().receivers,
    fences=(square(dwell=[10, 100], ring=150, eta=20), disc("pump", 60, 50, 20)),
)
SUBJECTS = st.sampled_from(["anna", "bob"])
PAUSES = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0, 119.0, 121.0, 700.0])
READINGS = st.builds(
    Reading,
    t_s=PAUSES,
    subject=SUBJECTS,
    device=st.sampled_from(["tag", "phone"]),
    link=st.sampled_from(["pi-milk", "pi-eggs", "pi-bread", "pi-wine", "pi-nowhere"]),
    rssi_dbm=st.sampled_from([-55.0, -65.0, -75.0, -90.0, 127.0]),
)
PLACES = st.tuples(st.integers(-8, 12), st.integers(2, 6)).map(lambda p: degrees(p[0] * 20, p[1] * 10))


@st.composite
def random_fix(draw: st.DrawFn) -> Fix:
    lat, lon = draw(PLACES)
    return Fix(
        t_s=draw(PAUSES),
        fix_t_s=-draw(st.sampled_from([0.0, 0.0, 0.0, 0.5, 10.0, 29.0, 60.0, 300.0, -7.0])),
        device=draw(st.sampled_from(["vehicle:car", "vehicle:van"])),
        lat_deg=lat,
        lon_deg=lon,
        accuracy_m=draw(st.sampled_from([None, 3.0, 8.0, 60.0, 300.0])),
        speed_kmh=draw(st.sampled_from([None, 0.0, 5.0, 50.0])),
        ignition=draw(st.sampled_from([None, None, True, False])),
        retained=draw(st.integers(0, 9)) == 0,
        subject=draw(SUBJECTS),
    )


@st.composite
def observed(draw: st.DrawFn) -> list[Observation]:
    """Random signals one after another; the pauses between them are added up."""
    t_s, out = T0, list[Observation]()
    for item in draw(st.lists(st.one_of(READINGS, random_fix()), max_size=60)):
        t_s += item.t_s
        if isinstance(item, Fix):
            out.append(replace(item, t_s=t_s, fix_t_s=t_s + item.fix_t_s))
        else:
            out.append(changed(item, t_s=t_s))
    return out
