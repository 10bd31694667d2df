from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import highdicom.seg
import numpy as np
import pytest
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Finding, Localisation
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.results.provenance import Provenance
from radiolucent.results.segmentation import encode_segmentation, segment_mask

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

Make = Callable[..., "Case"]
Write = Callable[[Dataset], Dataset]
Provenances = Callable[..., Provenance]


def _where(finding: Finding) -> Localisation:
    assert finding.localisation is not None
    return finding.localisation


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mr", {}),
        ("ct", {"orientation": (0.8, 0.6, 0, -0.6, 0.8, 0)}),
        ("cr", {}),
        ("dx", {"shape": (1, 33, 41)}),  # no multiple of 8 bits
        ("enhanced-mr", {}),
        ("mr", {"shape": (5, 37, 51), "spacing_mm": (0.3, 1.7)}),
    ],
)
def test_every_frame_holds_the_mask_of_the_frame_it_names_bit_for_bit(
    make_case: Make, written: Write, provenance_of: Provenances, kind: str, options: dict[str, Any]
) -> None:
    case = make_case(kind, **options)
    made = encode_segmentation(case.finding, case.series, case.stack, provenance_of(case))
    assert made is not None
    read = written(made)
    planes = read.pixel_array.reshape(-1, *case.series.shape)
    indexes, mask = segment_mask(case.finding, _where(case.finding))
    by_reference = {(frame.sop_instance_uid, frame.number): index for index, frame in enumerate(case.stack.frames)}

    found = {}
    for group, plane in zip(read.PerFrameFunctionalGroupsSequence, planes, strict=True):
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        found[by_reference[source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber", 1)]] = plane

    assert indexes == sorted(found)
    np.testing.assert_array_equal(mask, np.stack([found[index] for index in indexes]))


def test_the_library_reads_the_segment_back_by_source_image(
    make_case: Make, written: Write, provenance_of: Provenances
) -> None:
    case = make_case("mr")
    made = encode_segmentation(case.finding, case.series, case.stack, provenance_of(case))
    assert made is not None
    read = highdicom.seg.Segmentation.from_dataset(written(made))
    indexes, mask = segment_mask(case.finding, _where(case.finding))

    pixels = read.get_pixels_by_source_instance(
        source_sop_instance_uids=[case.stack.frames[index].sop_instance_uid for index in indexes],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )

    np.testing.assert_array_equal(mask, pixels)


def test_the_segment_says_what_it_is_and_who_made_it(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("ct")
    made = encode_segmentation(case.finding, case.series, case.stack, provenance_of(case))
    assert made is not None
    segment, kind = made.SegmentSequence[0], finding_type(case.finding.name)

    assert kind.code.value == segment.SegmentedPropertyTypeCodeSequence[0].CodeValue
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert "AI evidence" in segment.SegmentLabel
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("test-engine", "1.2.3")
    assert "ab" * 32 in algorithm.AlgorithmParameters


def test_a_viewer_is_recommended_a_colour_that_is_not_grey(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    made = encode_segmentation(case.finding, case.series, case.stack, provenance_of(case))
    assert made is not None
    lightness, *chroma = made.SegmentSequence[0].RecommendedDisplayCIELabValue
    assert lightness > 0x8000
    assert max(abs(value - 0x8080) for value in chroma) > 0x2000  # 0x8080: neither red nor green, yellow nor blue


def test_only_the_reported_region_is_segmented(make_case: Make, cases: ModuleType) -> None:
    case = make_case("mr")
    evidence = case.finding.heatmap.evidence.copy()
    evidence[12, 6:, :2] = 5.9  # a second area, as high, that the localisation doesn't report
    heatmap = replace(case.finding.heatmap, evidence=evidence)

    _, alone = segment_mask(case.finding, _where(case.finding))
    _, beside = segment_mask(replace(case.finding, heatmap=heatmap), _where(case.finding))

    np.testing.assert_array_equal(alone, beside)


def test_the_area_is_what_lies_above_the_level_of_the_contour(make_case: Make) -> None:
    finding = make_case("mr").finding
    indexes, mask = segment_mask(finding, _where(finding))
    expected = np.stack([finding.heatmap.at_pixels(index) >= 2.0 for index in indexes])

    np.testing.assert_array_equal(mask.astype(bool), expected)


def test_two_regions_make_one_segment(make_case: Make, cases: ModuleType) -> None:
    case = make_case("mr")
    evidence = case.finding.heatmap.evidence.copy()
    evidence[12, 6:, :2] = 5.9
    heatmap = Heatmap(evidence=evidence, record=case.finding.heatmap.record, display_scale=5.0)
    where = _where(case.finding)
    left = evidence.copy()
    left[:, :, 4:] = -1
    other = cases.locate(Heatmap(evidence=left, record=heatmap.record, display_scale=5.0), case.stack, level=2.0)

    both = replace(where, regions=(*where.regions, *other.regions))
    _, mask = segment_mask(replace(case.finding, heatmap=heatmap), both)
    _, one = segment_mask(case.finding, where)

    assert mask.sum() > one.sum()
    assert set(np.unique(mask)) == {0, 1}


def test_no_region_gives_no_object(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    finding = replace(case.finding, localisation=Localisation(status="located", contour_level=2.0))

    assert encode_segmentation(finding, case.series, case.stack, provenance_of(case)) is None


def test_a_finding_without_focus_gets_no_segment(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")

    with pytest.raises(EncodingError, match="nothing was located"):
        encode_segmentation(case.series.findings[1], case.series, case.stack, provenance_of(case))


def test_a_region_on_the_background_is_refused(make_case: Make) -> None:
    finding = make_case("mr").finding
    region = replace(_where(finding).regions[0], peak=(0.0, 0.0))

    with pytest.raises(EncodingError, match="segment the background"):
        segment_mask(finding, replace(_where(finding), regions=(region,)))
