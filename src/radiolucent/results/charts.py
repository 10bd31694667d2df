"""Small inline SVG for a report: a value against its operating point, and attention along the slices."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

SCREEN = ("var(--track)", "var(--bar)", "var(--tick)")
"""Colours of a bar from the page's style sheet: track, value, tick."""
PAPER = ("#dfe6ec", "#2f6fab", "#000000")
"""The same for what becomes a PDF, where a drawing doesn't see the page's style sheet."""


def value_bar(value: float, operating_point: float, label: str, *, colours: tuple[str, str, str] = SCREEN) -> Markup:
    """A bar from 0 to 1 with a tick at the operating point; `label` says both in words for who can't see it."""
    filled, tick = (100 * min(max(share, 0.0), 1.0) for share in (value, operating_point))
    return Markup(
        '<svg role="img" viewBox="0 0 100 10" preserveAspectRatio="none" aria-label="{label}">'
        '<rect x="0" y="2" width="100" height="6" fill="{track}"/>'
        '<rect x="0" y="2" width="{filled:.1f}" height="6" fill="{bar}"/>'
        '<rect x="{tick:.1f}" y="0" width="0.7" height="10" fill="{ink}"/></svg>'
    ).format(
        label=label,
        filled=filled,
        tick=min(tick, 99.3),
        track=colours[0],
        bar=colours[1],
        ink=colours[2],
    )


def slice_curve(peaks: Sequence[float], *, floor: float, display_scale: float, shown: int) -> Markup:
    """Largest evidence of each slice on the absolute scale, with the floor and the shown slice marked.

    Parameters
    ----------
    peaks : one value a slice, logit units; what is negative is drawn at 0.
    floor : logit units under which nothing is drawn on the images.
    display_scale : logit units; the axis reaches at least so far, so that a faint curve stays faint.
    shown : index of the slice that the report shows, from 0.
    """
    width, height, left, top = 640.0, 96.0, 34.0, 16.0
    limit = max(display_scale, *peaks)
    across = (width - left - 10) / max(1, len(peaks) - 1)

    def point(index: int, value: float) -> tuple[float, float]:
        return left + index * across, top + height * (1 - max(value, 0.0) / limit)

    points = [point(index, value) for index, value in enumerate(peaks)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    base, (peak_x, peak_y) = top + height, points[shown]
    floor_y = point(0, floor)[1]
    anchor = "start" if shown < len(peaks) / 8 else "end" if shown > len(peaks) * 7 / 8 else "middle"
    return Markup(
        '<svg role="img" viewBox="0 0 640 132" aria-label="Largest model attention on each of {count} slices; '
        'largest on the slices around {number}">'
        '<line x1="{left}" y1="{base}" x2="630" y2="{base}" stroke="var(--line)"/>'
        '<line x1="{left}" y1="{floor_y:.1f}" x2="630" y2="{floor_y:.1f}" '
        'stroke="var(--quiet)" stroke-dasharray="4 4"/>'
        '<polygon points="{left},{base} {line} {last:.1f},{base}" fill="var(--curve)" fill-opacity="0.18"/>'
        '<polyline points="{line}" fill="none" stroke="var(--curve)" stroke-width="2" stroke-linejoin="round"/>'
        '<line x1="{peak_x:.1f}" y1="{peak_y:.1f}" x2="{peak_x:.1f}" y2="{base}" stroke="var(--tick)"/>'
        '<circle cx="{peak_x:.1f}" cy="{peak_y:.1f}" r="4" fill="var(--tick)"/>'
        '<text x="{peak_x:.1f}" y="{above:.1f}" text-anchor="{anchor}" '
        'class="strong">slice {number}, {value:.1f}</text>'
        '<text x="28" y="{top_text:.1f}" text-anchor="end">{limit:.1f}</text>'
        '<text x="28" y="{floor_text:.1f}" text-anchor="end">{floor:.1f}</text>'
        '<text x="28" y="{base}" text-anchor="end">0</text>'
        '<text x="{left}" y="128">slice 1</text><text x="630" y="128" text-anchor="end">{count}</text></svg>'
    ).format(
        count=len(peaks),
        number=shown + 1,
        left=left,
        base=base,
        floor=floor,
        floor_y=floor_y,
        floor_text=floor_y + 4,
        line=line,
        last=points[-1][0],
        peak_x=peak_x,
        peak_y=peak_y,
        above=max(peak_y - 8, 11.0),
        anchor=anchor,
        value=peaks[shown],
        top_text=top + 4,
        limit=limit,
    )
