"""What a site may use each finding for: notify, case level or localise; where localisation is off, no map leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from pydantic import model_validator

from radiolucent.findings.confidence import REVIEW, review_reason
from radiolucent.findings.reading import Finding, Graded, Localisation, Reading, SeriesReading
from radiolucent.findings.tables import TableModel, read_table
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.imaging.heatmap import Heatmap

IntendedUse = Literal["notify", "case-level", "localise"]
USES: tuple[IntendedUse, ...] = get_args(IntendedUse)
"""From the least to the most."""

WITHHELD = "localisation is not part of the intended use of this finding at this site"
_SIZE = re.compile(r" \([^()]*of the evidence[^()]*\)")


class Profile(TableModel):
    """One site's intended use, for all findings and for single ones."""

    version: str
    site: str
    default: IntendedUse
    findings: dict[str, IntendedUse]

    @model_validator(mode="after")
    def _knows_every_finding(self) -> Profile:
        unknown = sorted(set(self.findings) - set(FINDINGS))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no finding of the taxonomy")
        return self

    def use(self, finding: str) -> IntendedUse:
        """What this finding may be used for."""
        return self.findings.get(finding, self.default)


@cache
def default_profile() -> Profile:
    """The packaged profile: everything may be localised."""
    return read_table("profile", Profile)


def site_profile(path: Path) -> Profile:
    """A site's own profile.

    Raises
    ------
    InvalidTable
        If a finding or a use is unknown.
    """
    return read_table("profile", Profile, path=path)


def narrowed(profile: Profile, uses: Mapping[str, str]) -> Profile:
    """The profile with single findings used for less: what goes beyond the profile, or is unknown, changes nothing.

    >>> narrowed(default_profile(), {"glioma": "notify", "meningioma": "anything"}).use("glioma")
    'notify'
    """
    less = {
        name: order[0]
        for name, use in uses.items()
        if name in FINDINGS and use in USES and (order := sorted((use, profile.use(name)), key=USES.index))
    }
    return profile.model_copy(update={"findings": profile.findings | less})


def apply(reading: Reading, profile: Profile) -> Reading:
    """The reading as this site may show and send it.

    Run it before anything is encoded: what it takes out can't leave in any format. Where localisation is off, the
    map holds only zeros, frames have no logits of their own, the place is ``withheld``, nothing measured and no check
    of the map stays, and no reason names a place or a size. A shift of the midline goes by the use of
    ``midline-shift``. ``notify`` also drops confidence and change. Applying it twice changes nothing more.

    Warning
    -------
    Scores stay in the reading in every use, because a finding can't be audited without them.
    """
    return replace(
        reading,
        series=tuple(
            replace(
                series,
                findings=tuple(_limited(finding, series, profile) for finding in series.findings),
                measurements=tuple(one for one in series.measurements if profile.use(one.name) == "localise"),
            )
            for series in reading.series
        ),
    )


def _limited(finding: Finding, series: SeriesReading, profile: Profile) -> Finding:
    use = profile.use(finding.name)
    if use == "localise":
        return finding
    finding = replace(
        finding,
        heatmap=_blank(finding.heatmap),
        frame_logits=finding.frame_logits if len(series.frames) == 1 else (),
        localisation=Localisation(status="withheld", reason=WITHHELD) if finding.positive else None,
        urgency=_without_sizes(finding.urgency),
        confidence=_row_only(finding.confidence),
        change_note="",
        measurements=(),
        explanation=None,  # its checks tell how the evidence lies
    )
    return finding if use == "case-level" else replace(finding, confidence=None, change=None)


def _blank(heatmap: Heatmap) -> Heatmap:
    return replace(heatmap, evidence=np.zeros_like(heatmap.evidence))


def _without_sizes(graded: Graded | None) -> Graded | None:
    if graded is None:
        return None
    return replace(graded, reasons=tuple(_SIZE.sub("", reason) for reason in graded.reasons))


def _row_only(graded: Graded | None) -> Graded | None:
    """The row of the table without the factors behind it: they tell of the place."""
    if graded is None or not graded.reasons:
        return graded
    reasons = graded.reasons[:1]
    if review_reason(graded):
        reasons += (REVIEW + "place and result disagree",)
    return replace(graded, reasons=reasons)
