"""Figures as SVG, made by the server: a share with its interval, and how much came in on each day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from radiolucent.monitor.measures import Measured

_WIDTH, _HEIGHT, _FOOT = 640, 120, 18


@dataclass(frozen=True, kw_only=True)
class Day:
    """How many studies came in on a day (``2026-01-31``), and how many of them failed or were not read."""

    day: str
    studies: int
    failed: int
    not_read: int


def interval(one: Measured) -> Markup:
    """A share on a line from 0 to 1 with its interval; empty where it isn't known."""
    if one.value is None or one.low is None or one.high is None:
        return Markup("")
    x, low, high = (round(4 + 192 * value, 1) for value in (one.value, one.low, one.high))
    return Markup(
        '<svg class="interval" width="200" height="16" viewBox="0 0 200 16" role="img" aria-label="{label}">'
        '<line x1="4" x2="196" y1="8" y2="8" class="axis"/>'
        '<line x1="{low}" x2="{high}" y1="8" y2="8" class="whisker"/><circle cx="{x}" cy="8" r="4"/></svg>'
    ).format(label=f"{one.value:.0%}, 95 % interval {one.low:.0%} to {one.high:.0%}", low=low, high=high, x=x)


def columns(days: Sequence[Day]) -> Markup:
    """One column a day: whole for what was read, striped for what was not, cross-hatched for what failed."""
    most = max((one.studies for one in days), default=0)
    if not most:
        return Markup("")
    step = _WIDTH / len(days)
    scale = (_HEIGHT - _FOOT - 12) / most
    ground = _HEIGHT - _FOOT
    axis = Markup('<line class="axis" x1="0" x2="{w}" y1="{y}" y2="{y}"/>').format(w=_WIDTH, y=ground)
    parts = [_PATTERNS, axis]
    for place, one in enumerate(days):
        y = float(ground)
        for kind, number in (
            ("read", one.studies - one.failed - one.not_read),
            ("not-read", one.not_read),
            ("failed", one.failed),
        ):
            height = number * scale
            y -= height
            if number:
                parts.append(
                    Markup('<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"/>').format(
                        kind=kind, x=place * step + 1, y=y, w=max(step - 2, 1), h=height
                    )
                )
    first, last = days[0].day, days[-1].day
    for x, anchor, words in ((0, "start", first), (_WIDTH, "end", last)):
        parts.append(
            Markup('<text x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>').format(
                x=x, y=_HEIGHT - 4, anchor=anchor, words=words
            )
        )
    parts.append(Markup('<text x="0" y="10">{most}</text>').format(most=most))
    label = f"Studies a day from {first} to {last}, at most {most}; the numbers stand in the table below"
    return Markup(
        '<svg class="columns" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
        "{parts}</svg>"
    ).format(w=_WIDTH, h=_HEIGHT, label=label, parts=Markup("").join(parts))


_PATTERNS = Markup(
    '<defs><pattern id="stripes" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<rect class="ground" width="4" height="4"/><path class="line" d="M0 4L4 0"/></pattern>'
    '<pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<rect class="ground" width="4" height="4"/><path class="line" d="M0 4L4 0M0 0L4 4"/></pattern></defs>'
)
