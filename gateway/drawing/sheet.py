"""What is drawn on: elements of SVG, every value escaped, and how metres become pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from msgspec import Struct

from gateway.model import Point

_QUOTES = {'"': "&quot;", "'": "&#39;"}


class Panel(Struct, frozen=True):
    """One picture: a floor, or fences that lie together."""

    title: str
    width_px: float
    height_px: float
    body: str
    """Elements of SVG, in pixels from the upper left corner."""

    def svg(self, *, label: str, style: str = "") -> str:
        """As a document of its own; `label` is what a screen reader says. `style`: CSS that goes inside."""
        inner = f"<style>{style}</style>" if style else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="plan" role="img" aria-label="{escaped(label)}" '
            f'viewBox="0 0 {number(self.width_px)} {number(self.height_px)}">{inner}{self.body}</svg>'
        )


class Frame(Struct, frozen=True):
    """A rectangle of ground on the sheet; y grows upwards on the ground and downwards on the sheet."""

    left_m: float
    top_m: float
    px_a_m: float
    x_px: float
    """Where the ground begins on the sheet."""
    y_px: float
    width_px: float
    height_px: float

    def at(self, point: Point) -> Point:
        return (
            self.x_px + (point[0] - self.left_m) * self.px_a_m,
            self.y_px + (self.top_m - point[1]) * self.px_a_m,
        )


def frame_of(corners: Sequence[Point], *, width_px: float, most_px: float, x_px: float, y_px: float) -> Frame:
    """The ground that holds all `corners` (metres), as large as `width_px` by `most_px` allow."""
    left_m, right_m = min(x for x, _ in corners), max(x for x, _ in corners)
    bottom_m, top_m = min(y for _, y in corners), max(y for _, y in corners)
    wide_m, high_m = max(right_m - left_m, 1.0), max(top_m - bottom_m, 1.0)
    px_a_m = min(width_px / wide_m, most_px / high_m)
    return Frame(left_m, top_m, px_a_m, x_px, y_px, wide_m * px_a_m, high_m * px_a_m)


def escaped(text: str) -> str:
    """For text and for attributes in double quotes; what XML 1.0 does not allow is left out."""
    return escape(
        "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff")), _QUOTES
    )


def number(value: float) -> str:
    """A coordinate to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def tag(name: str, content: str | None = None, **attributes: str | float) -> str:
    """One element; `content` is SVG already, attributes are escaped. `class_` is `class`, `a_b` is `a-b`."""
    listed = "".join(
        f' {key.rstrip("_").replace("_", "-")}="'
        f'{escaped(value) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{listed}/>" if content is None else f"<{name}{listed}>{content}</{name}>"


def path(rings: Iterable[Sequence[Point]]) -> str:
    """Closed rings of pixels as the `d` of a path."""
    return "".join(
        "M" + "L".join(f"{number(x)} {number(y)}" for x, y in ring) + "Z" for ring in rings if ring
    )


def scale_bar(frame: Frame, y_px: float) -> str:
    """A length of 1, 2 or 5 times a power of ten, at most a third of the ground's width."""
    length_m = nice_m(frame.width_px / 3 / frame.px_a_m)
    x, end = frame.x_px, frame.x_px + length_m * frame.px_a_m
    said = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    ends = f"M{number(x)} {number(y_px - 4)}v8M{number(x)} {number(y_px)}H{number(end)}m0 -4v8"
    words = tag("text", escaped(said), class_="small", font_size=11.0, x=end + 6, y=y_px + 4)
    return tag("path", class_="line", d=ends) + words


def nice_m(most_m: float) -> float:
    """The greatest of 1, 2, 5, 10, 20, … and 0.1, 0.2, 0.5 that is not above `most_m`; 0.1 at least."""
    nice_m = 0.1
    for power in range(-1, 7):
        for digit in (1.0, 2.0, 5.0):
            if digit * 10.0**power <= most_m:
                nice_m = digit * 10.0**power
    return nice_m
