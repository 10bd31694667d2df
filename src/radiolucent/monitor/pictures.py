"""Figures as SVG, made by the server: shares with intervals, what came in each day, drift, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from radiolucent.monitor.calibration import Bin
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
    return _drawing("columns", _WIDTH, _HEIGHT, label, parts)


_PATTERNS = Markup(
    '<defs><pattern id="stripes" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<rect class="ground" width="4" height="4"/><path class="line" d="M0 4L4 0"/></pattern>'
    '<pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<rect class="ground" width="4" height="4"/><path class="line" d="M0 4L4 0M0 0L4 4"/></pattern></defs>'
)


def forest(rows: Sequence[tuple[str, Measured]]) -> Markup:
    """Shares one below the other on one scale from 0 to 1, each with its name and interval; paler below n = 30."""
    known = [(name, one) for name, one in rows if one.value is not None]
    if not known:
        return Markup("")
    height, left, wide = 22 * len(known) + 24, 220, 400
    parts = [Markup('<g class="grid">{lines}</g>').format(lines=_scale(left, wide, height - 20))]
    for place, (name, one) in enumerate(known):
        y = 22 * place + 12
        x, low, high = (round(left + wide * (value or 0.0), 1) for value in (one.value, one.low, one.high))
        parts.append(
            Markup(
                '<g class="{few}"><text x="0" y="{base}">{name}</text>'
                '<line class="whisker" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/><circle cx="{x}" cy="{y}" r="4"/>'
                '<text x="{end}" y="{base}">n {n}</text></g>'
            ).format(
                few="few" if one.n < 30 else "", name=name[:32], base=y + 4, y=y, x=x, low=low, high=high, n=one.n,
                end=left + wide + 12,
            )
        )  # fmt: skip
    label = "; ".join(f"{name}: {one.value:.0%}, n {one.n}" for name, one in known)
    return _drawing("forest", left + wide + 80, height, label, parts)


def histogram(edges: Sequence[float], before: Sequence[float], now: Sequence[float]) -> Markup:
    """Shares of scores in bins, before (hollow) beside now (full); `edges` are the inner ones."""
    step, tall, foot = 44, 90, 18
    most = max((*before, *now), default=0.0) or 1.0
    parts = [Markup('<line class="axis" x1="0" x2="{w}" y1="{y}" y2="{y}"/>').format(w=step * len(now), y=tall)]
    for place, shares in enumerate(zip(before, now, strict=True)):
        for side, (kind, value) in enumerate(zip(("before", "now"), shares, strict=True)):
            size = (tall - 4) * value / most
            parts.append(
                Markup('<rect class="{kind}" x="{x}" y="{y:.1f}" width="18" height="{h:.1f}"/>').format(
                    kind=kind, x=step * place + 3 + 19 * side, y=tall - size, h=size
                )
            )
    for place, edge in enumerate(edges, start=1):
        parts.append(
            Markup('<text x="{x}" y="{y}" text-anchor="middle">{edge:.2g}</text>').format(
                x=step * place, y=tall + 14, edge=edge
            )
        )
    words = ", ".join(f"{old:.0%} then {new:.0%}" for old, new in zip(before, now, strict=True))
    return _drawing("histogram", step * len(now), tall + foot, f"Share of scores by bin: {words}", parts)


def reliability_diagram(bins: Sequence[Bin]) -> Markup:
    """What was told (to the right) against what was right (upwards), with intervals; on the diagonal both agree."""
    side, left, top, foot = 200, 36, 14, 24

    def x(value: float) -> float:
        return round(left + side * value, 1)

    def y(value: float) -> float:
        return round(top + side * (1 - value), 1)

    parts = [
        Markup('<rect class="frame" x="{x}" y="{y}" width="{s}" height="{s}"/>').format(x=left, y=top, s=side),
        Markup('<line class="axis" x1="{a}" y1="{b}" x2="{c}" y2="{d}"/>').format(a=x(0), b=y(0), c=x(1), d=y(1)),
    ]
    for one in bins:
        if one.right.value is None or one.right.low is None or one.right.high is None:
            continue
        parts.append(
            Markup(
                '<g class="{few}"><line class="whisker" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>'
                '<circle cx="{x}" cy="{y}" r="4"/><text x="{at}" y="{y}">{n}</text></g>'
            ).format(
                few="few" if one.right.n < 30 else "", x=x(one.told), y=y(one.right.value), low=y(one.right.low),
                high=y(one.right.high), at=x(one.told) + 6, n=one.right.n,
            )
        )  # fmt: skip
    for value in (0.0, 0.5, 1.0):
        parts.append(
            Markup(
                '<text x="{x}" y="{foot}" text-anchor="middle">{v:g}</text>'
                '<text x="{l}" y="{y}" text-anchor="end">{v:g}</text>'
            ).format(x=x(value), foot=top + side + 16, v=value, l=left - 6, y=y(value) + 4)
        )
    label = "; ".join(f"told {one.told:.0%}: right {one.right.value or 0:.0%}, n {one.right.n}" for one in bins)
    return _drawing("reliability", left + side + 40, top + side + foot, f"Told against right: {label}", parts)


def _scale(left: int, wide: int, tall: int) -> Markup:
    return Markup("").join(
        Markup(
            '<line class="axis" x1="{x}" x2="{x}" y1="0" y2="{t}"/>'
            '<text x="{x}" y="{b}" text-anchor="middle">{v:.0%}</text>'
        ).format(x=left + wide * value, t=tall, b=tall + 16, v=value)
        for value in (0.0, 0.5, 1.0)
    )


def _drawing(kind: str, width: int, height: int, label: str, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="{kind}" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
        "{parts}</svg>"
    ).format(kind=kind, w=width, h=height, label=label, parts=Markup("").join(parts))
