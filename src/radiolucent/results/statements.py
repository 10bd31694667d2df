"""What messages to the RIS and the EHR say of each finding: the same numbers, codes and words in every format."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlsplit

from radiolucent.errors import EncodingError
from radiolucent.findings.hierarchy import ranked
from radiolucent.findings.location import full_place
from radiolucent.findings.narrative import Narrative
from radiolucent.findings.phrases import Phrases
from radiolucent.findings.reading import Finding, Graded, Reading, SeriesReading, UnreadSeries
from radiolucent.findings.taxonomy import LOCAL_SCHEME, Code, FindingType, finding_type, study_code
from radiolucent.findings.urgency import NONE_ABOVE_THRESHOLD, level_number
from radiolucent.results import codes
from radiolucent.results.provenance import Provenance

_UID: Final = re.compile(r"[0-9.]{1,64}")


def _own(value: str, meaning: str) -> Code:
    return Code(value=value, scheme=LOCAL_SCHEME, meaning=meaning)


def _sct(value: str, meaning: str) -> Code:
    return Code(value=value, scheme="SCT", meaning=meaning)


PRESENT: Final = _sct(codes.PRESENT.value, codes.PRESENT.meaning)
NO_FINDING: Final = _own("no-finding", "No finding above threshold")
SIDES: Final[Mapping[str, Code]] = MappingProxyType(
    {  # PS3.16 CID 244
        "left": _sct("7771000", "Left"),
        "right": _sct("24028007", "Right"),
        "bilateral": _sct("51440002", "Bilateral"),
        "midline": _sct("261129000", "Midline"),
    }
)
HEATMAPS: Final[Mapping[str, Code]] = MappingProxyType(
    {  # by `Localisation.status`
        "located": _own(codes.LOCATED.value, codes.LOCATED.meaning),
        "empty": _own(codes.NO_FOCUS.value, codes.NO_FOCUS.meaning),
        "failed": _own(codes.NO_EXPLANATION.value, codes.NO_EXPLANATION.meaning),
        "withheld": _own(codes.WITHHELD.value, codes.WITHHELD.meaning),
        "missing": _own("not-determined", "Localisation not determined"),
    }
)
BASES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "real": _own(codes.REAL_IMAGES.value, codes.REAL_IMAGES.meaning),
        "phantom": _own(codes.PHANTOM_IMAGES.value, codes.PHANTOM_IMAGES.meaning),
    }
)
STATES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "read": _own("read", "Read"),
        "partly-read": _own("partly-read", "Partly read"),
        "not-read": _own("not-read", "Not read"),
    }
)
_WITHDRAWN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "en": "This AI result is withdrawn. Do not use it",
        "de": "Dieses KI-Ergebnis ist zurückgezogen. Nicht verwenden",
    }
)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One finding of one series, as a message tells it.

    Parameters
    ----------
    number : from 1; positive findings first, most critical first, then the others as read.
    label : the finding's name in the reader's language. place, change : words, or empty.
    """

    number: int
    finding: Finding
    series: SeriesReading
    label: str
    place: str
    change: str

    @property
    def kind(self) -> FindingType:
        """Row of the taxonomy."""
        return finding_type(self.finding.name)

    @property
    def heatmap_status(self) -> str:
        """Key of `HEATMAPS`."""
        where = self.finding.localisation
        return "missing" if where is None else where.status

    @property
    def side(self) -> Code | None:
        """Side of the evidence; None where it is unknown, wasn't located or belongs to no positive finding."""
        where = self.finding.localisation
        if not self.finding.positive or where is None or where.status != "located":
            return None
        return SIDES.get(where.laterality)


def statements(reading: Reading, words: Phrases) -> tuple[Statement, ...]:
    """All findings of all series in the order of a report.

    Raises
    ------
    InvalidBundle
        If a finding isn't in the taxonomy.
    """
    pairs = [(entry.finding, entry.series) for entry in ranked(reading)]
    pairs += [(finding, series) for series in reading.series for finding in series.findings if not finding.positive]
    return tuple(
        Statement(
            number=number,
            finding=finding,
            series=series,
            label=words.name(finding_type(finding.name).name),
            place=full_place(finding, series, words) if finding.positive else "",
            change=words.change[finding.change] if finding.change else "",
        )
        for number, (finding, series) in enumerate(pairs, start=1)
    )


def check(reading: Reading) -> None:
    """See that every number and UID of a reading can be sent.

    Raises
    ------
    EncodingError
        If a number isn't finite, or a UID is none.
    """
    checked_uid(reading.study_instance_uid)
    for series in reading.series:
        checked_uid(series.series_instance_uid)
        for finding in series.findings:
            for value in (finding.probability, finding.score, finding.operating_point):
                if value is not None:
                    rounded(value)


def tracking_uid(statement: Statement, provenance: Provenance) -> str:
    """The Tracking UID of the finding in the structured report: of its first region, or of the finding as a whole."""
    where = statement.finding.localisation
    located = where is not None and where.status == "located" and bool(where.regions)
    return provenance.tracking_uid(statement.finding.name, statement.series, "1" if located else "")


def urgency_code(graded: Graded) -> Code:
    """An urgency level, 1 (most urgent) to 5, with the words of the table that gave it."""
    return _own(f"urgency-{level_number(graded)}", graded.level[:64])


def confidence_code(graded: Graded) -> Code:
    """A confidence level: high, moderate or low."""
    return _own(f"conf-{graded.level}"[:16], graded.level[:64])


def change_code(finding: Finding) -> Code | None:
    """Change against the prior study, or None where nothing was compared."""
    return _own(f"chg-{finding.change}", finding.change) if finding.change else None


def most_urgent(reading: Reading) -> Graded | None:
    """The most urgent level of all findings, or None where none was graded (nothing was read, or not judged)."""
    graded = [finding.urgency for finding in reading.findings if finding.urgency is not None]
    return min(graded, key=level_number, default=None)


def is_urgent(graded: Graded | None) -> bool:
    """Whether anything above its threshold was graded."""
    return graded is not None and level_number(graded) < NONE_ABOVE_THRESHOLD


def report_code(reading: Reading) -> Code:
    """LOINC code of the report, from the first series that was read."""
    for series in reading.series:
        for finding in series.findings:
            return study_code(series.modality, finding_type(finding.name).anatomy)
    return study_code("", "")


def reasons(unread: UnreadSeries, words: Phrases) -> str:
    """Why a series was not read, each reason once."""
    told = dict.fromkeys(refusal.reason.rstrip(".") for refusal in unread.refusals) or ["no engine reads it"]
    return words.words["original"] + "; ".join(told) + "."


def withdrawal(language: str, reason: str) -> str:
    """The sentence that stands in the place of a report that is taken back."""
    return f"{_WITHDRAWN[language]}: {reason.rstrip('.')}." if reason else f"{_WITHDRAWN[language]}."


def conclusion(narrative: Narrative) -> str:
    """Impression, what was not read, and the disclaimer, plain text."""
    parts = (narrative.impression_text, narrative.not_read_text, narrative.disclaimer)
    return "\n".join(part for part in parts if part)


def rounded(value: float) -> Decimal:
    """Six significant digits, as in the structured report, and at most 14 decimals; never an exponent.

    >>> f"{rounded(0.912345678):f}", f"{rounded(1e-9):f}", f"{rounded(0.5):f}"
    ('0.912346', '0.000000001', '0.5')

    Raises
    ------
    EncodingError
        If the value isn't finite.
    """
    if not math.isfinite(value):
        raise EncodingError("a score or probability is not a number: the engine's output can't be sent")
    number = Decimal(f"{float(f'{value:.6g}'):.14f}").normalize()
    return Decimal(f"{number:f}")


def viewer_link(template: str, study: str, series: str = "", finding: str = "") -> str:
    """The address of a study or finding in the viewer: ``{study}``, ``{series}``, ``{finding}`` are filled in.

    >>> viewer_link("https://viewer.example/?s={study}&f={finding}", "1.2", "1.2.3", "mass")
    'https://viewer.example/?s=1.2&f=mass'

    Raises
    ------
    EncodingError
        If it isn't an http or https address of printable ASCII characters.
    """
    link = template
    for name, part in (("study", study), ("series", series), ("finding", finding)):
        link = link.replace(f"{{{name}}}", quote(part, safe=""))
    if not re.fullmatch(r"[!-~]+", link) or urlsplit(link).scheme not in ("http", "https") or not urlsplit(link).netloc:
        raise EncodingError("the viewer's address must be an http or https address: set it anew")
    return link


def checked_uid(uid: str) -> str:
    """The UID itself.

    Raises
    ------
    EncodingError
        If it is none (PS3.5 9.1): what is sent under it can't be found again.
    """
    if not _UID.fullmatch(uid):
        raise EncodingError(f"{uid!r} is no valid UID: results can't be tied to what was read")
    return uid
