"""A reading as a record: Comprehensive 3D SR, Imaging Measurement Report (TID 1500), preliminary and unverified.

Positive findings go into one document, everything else (negatives, series that were not read) into a second: OHIF
3.13 shows a black viewport for a document with a group that has no region.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Reading, SeriesReading, UnreadSeries
from radiolucent.imaging.study import Stack
from radiolucent.results import codes
from radiolucent.results.measurement_groups import Group, finding_groups, series_group, statement_group
from radiolucent.results.provenance import MANUFACTURER, Provenance, refusing, seal
from radiolucent.results.source import CHARACTER_SET, instance_headers

if TYPE_CHECKING:
    from highdicom.sr import ObservationContext

SERIES_NUMBER = 9401


def encode_positive_report(
    reading: Reading, stacks: Mapping[str, Stack], maps: Mapping[tuple[int, str], Dataset], provenance: Provenance
) -> Dataset | None:
    """Write the positive findings of all series, each region as a group of its own (TID 1410).

    Parameters
    ----------
    stacks : by `Stack.key`.
    maps : the parametric map of a finding by (index in ``reading.series``, finding name); linked as its visual
        explanation (130401, DCM).

    Returns
    -------
    The document, or None where nothing is positive.

    Raises
    ------
    EncodingError
        If the stack of a series is missing, a contour is no polygon, or the library refuses the object.
    """
    groups, frames = [], []
    for index, series in enumerate(reading.series):
        stack = _stack(stacks, series)
        for finding in series.positives:
            with refusing(f"{finding.name}: the measurement group"):
                groups += finding_groups(finding, series, stack, provenance, map_object=maps.get((index, finding.name)))
        if series.positives:
            frames.append((series, stack))
    if not groups:
        return None
    evidence = _evidence(frames, maps)
    return _document(reading, groups, evidence, provenance, stacks, number=1)


def encode_negative_report(reading: Reading, stacks: Mapping[str, Stack], provenance: Provenance) -> Dataset | None:
    """Write what is below its operating point, measured as a whole, or not read: groups without region (TID 1501).

    Returns
    -------
    The document, or None where every finding is positive, nothing else was measured and everything was read.

    Raises
    ------
    EncodingError
        If the stack of a series is missing, or the library refuses the object.
    """
    groups, frames = [], []
    for series in reading.series:
        stack = _stack(stacks, series)
        for finding in series.findings:
            if not finding.positive:
                with refusing(f"{finding.name}: the measurement group"):
                    groups += finding_groups(finding, series, stack, provenance)
        with refusing("the measurement group"):
            measured = series_group(series, provenance)
        groups += [measured] if measured is not None else []
        frames.append((series, stack))
    evidence = _evidence(frames, {})
    for unread in reading.unread:
        groups.append(statement_group(_why_unread(unread), f"unread-{unread.series_instance_uid}", provenance))
        if (asked := stacks.get(unread.series_instance_uid)) is not None:
            evidence += instance_headers(asked, [0], (1, 1))
    if reading.problems:
        counts = Counter(problem.code for problem in reading.problems)
        listed = ", ".join(f"{code} ({count})" for code, count in sorted(counts.items()))
        groups.append(statement_group(f"Objects that could not be read: {listed}.", "problems", provenance))
    if not groups:
        return None
    if not evidence:
        evidence = instance_headers(next(iter(stacks.values())), [0], (1, 1))
    return _document(reading, groups, evidence, provenance, stacks, number=2)


def _why_unread(unread: UnreadSeries) -> str:
    reasons = "; ".join(dict.fromkeys(refusal.reason for refusal in unread.refusals)) or "no engine reads it"
    return f"Series not read ({unread.modality}, {unread.frames} images): {reasons}. Not read does not mean normal."


def _stack(stacks: Mapping[str, Stack], series: SeriesReading) -> Stack:
    try:
        return stacks[series.key]
    except KeyError:
        raise EncodingError(
            f"series {series.series_instance_uid} was read but its images weren't handed over"
        ) from None


def _evidence(frames: Sequence[tuple[SeriesReading, Stack]], maps: Mapping[tuple[int, str], Dataset]) -> list[Dataset]:
    evidence = [
        header for series, stack in frames for header in instance_headers(stack, range(len(stack.frames)), series.shape)
    ]
    return evidence + list(maps.values())


def _document(
    reading: Reading,
    groups: Sequence[Group],
    evidence: Sequence[Dataset],
    provenance: Provenance,
    stacks: Mapping[str, Stack],
    *,
    number: int,
) -> Dataset:
    from highdicom.sr import CodedConcept, Comprehensive3DSR, LanguageOfContentItemAndDescendants, MeasurementReport

    modalities = dict.fromkeys(series.modality for series in reading.series) or dict.fromkeys(
        stack.modality for stack in stacks.values()
    )
    digests = sorted({series.engine.digest for series in reading.series})
    with refusing("the structured report"):
        content = MeasurementReport(
            observation_context=_observer(reading, provenance),
            procedure_reported=list(dict.fromkeys(codes.procedure(modality) for modality in modalities)),
            imaging_measurements=groups,
            title=codes.REPORT,
            language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
                CodedConcept("en", "RFC5646", "English")
            ),
        )
        root = content[0]
        made = Comprehensive3DSR(
            evidence=evidence,
            content=_without_most(root),
            manufacturer=MANUFACTURER,
            is_complete=True,
            is_final=False,
            is_verified=False,
            record_evidence=True,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            series_description="AI report (preliminary)",
            specific_character_set=CHARACTER_SET,
            **provenance.place("structured-report", *digests, series_number=SERIES_NUMBER, instance_number=number),
        )
        made["ContentSequence"] = root["ContentSequence"]
    for keyword in ("BodyPartExamined", "Laterality"):
        if keyword in made:
            del made[keyword]  # not part of an SR document's modules
    return seal(made, provenance, next(iter(stacks.values())))


def _without_most(root: Dataset) -> Dataset:
    """The root with its first content item alone.

    The library copies, reads back and searches whatever it is given, each item several times, which took longer than
    the engine. All items are put in afterwards; they were checked when they were made.
    """
    shell = Dataset()
    for element in root:
        if element.keyword != "ContentSequence":
            shell[element.tag] = element
    shell.ContentSequence = [root.ContentSequence[0]]
    return shell


def _observer(reading: Reading, provenance: Provenance) -> ObservationContext:
    from highdicom.sr import CodedConcept, DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext

    engines = {series.engine.label: series.engine for series in reading.series}
    digest = ";".join(sorted(engine.digest for engine in engines.values()))
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=CodedConcept.from_code(codes.DEVICE_OBSERVER),
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=provenance.uid("device", digest),
                name="radiolucent",
                manufacturer_name=MANUFACTURER,
                model_name=", ".join(sorted(engines)) or "no engine",
                serial_number=digest or "none",
            ),
        )
    )
