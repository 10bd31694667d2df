"""The route: what is bright is found where it is, what may not be read is refused, what fails is said."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.engines.manifest import Manifest, SiteEntry
from radiolucent.engines.runtime import EngineOutput
from radiolucent.errors import UnreadablePixels
from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.study import Frame, Stack, Study
from radiolucent.pipeline.read_study import Options, read_study, study_logit

ROWS, COLUMNS, SLICES = 160, 150, 8
SPACING = (1.2, 1.1)
Z = [5.0 * index for index in range(SLICES)]


def a_header(**changes: Any) -> Dataset:
    header = Dataset()
    values = {
        "Modality": "MR",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
        "BodyPartExamined": "BRAIN",
        "SeriesDescription": "AX T1 POST",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "ContrastBolusAgent": "GADOLINIUM",
        "ScanningSequence": "SE",
        "RepetitionTime": "600",
        "EchoTime": "12",
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": ROWS,
        "Columns": COLUMNS,
    }
    for keyword, value in {**values, **changes}.items():
        setattr(header, keyword, value)
    return header


def a_volume(spot: tuple[int, int, int] | None) -> NDArray[np.float32]:
    """A grey head of 90 × 80 pixels; a bright ball of 8 pixels around `spot` (slice, row, column)."""
    z, row, column = np.ogrid[0:SLICES, 0:ROWS, 0:COLUMNS]
    inside = ((row - 80) / 62.0) ** 2 + ((column - 75) / 55.0) ** 2 + 0 * z <= 1
    pixels = np.where(inside, 300.0, 2.0).astype(np.float32)
    if spot:
        ball = (row - spot[1]) ** 2 + (column - spot[2]) ** 2 + (4 * (z - spot[0])) ** 2 <= 8**2
        pixels[ball] = 900.0
    return pixels


def a_study(pixels: NDArray[np.float32], header: Dataset | None = None) -> Study:
    header = header or a_header()
    frames = tuple(
        Frame(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
            sop_instance_uid=f"1.2.3.{index}",
            plane=ImagePlane(
                position_mm=(-80.0, -95.0, z), row_cosines=(1, 0, 0), column_cosines=(0, 1, 0), spacing_mm=SPACING
            ),
            spacing_mm=SPACING,
        )
        for index, z in enumerate(Z)
    )
    stack = Stack(
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        modality=str(header.Modality),
        kind="volume",
        frames=frames,
        headers=(header,) * SLICES,
        decode=lambda index: pixels[index],
        slice_spacing_mm=5.0,
    )
    return Study(study_instance_uid="1.2", stacks=(stack,), header=header)


def test_a_bright_ball_is_found_at_its_place_in_the_patient(bright_spots: Callable[..., Any]) -> None:
    spot = (5, 60, 100)
    reading = read_study(a_study(a_volume(spot)), [bright_spots()])
    finding = reading.findings[0]
    truth = (-80.0 + 100 * SPACING[1], -95.0 + 60 * SPACING[0], Z[5])
    assert (finding.name, finding.positive, reading.state) == ("glioma", True, "read")
    assert finding.localisation is not None
    region = finding.localisation.regions[0]
    assert (region.first_frame, region.last_frame) == (4, 6)
    assert region.centroid_mm == pytest.approx(truth, abs=2.5)  # half a cell of 5 mm
    assert finding.localisation.laterality == "left"


def test_a_head_without_a_bright_ball_has_nothing_above_threshold_and_no_localisation(
    bright_spots: Callable[..., Any],
) -> None:
    reading = read_study(a_study(a_volume(None)), [bright_spots()])
    assert [finding.positive for finding in reading.findings] == [False, False]
    assert all(finding.localisation is None for finding in reading.findings)
    assert all(finding.heatmap.empty for finding in reading.findings)


def test_a_located_finding_is_tried_on_changed_copies_of_its_peak_slice(bright_spots: Callable[..., Any]) -> None:
    glioma, meningioma = read_study(a_study(a_volume((5, 60, 100))), [bright_spots()]).findings
    assert glioma.stability is not None
    assert 0.3 < glioma.stability <= 1
    assert meningioma.stability is None


def test_the_largest_slice_decides_and_every_slice_keeps_its_logit(bright_spots: Callable[..., Any]) -> None:
    finding = read_study(a_study(a_volume((5, 60, 100))), [bright_spots()]).findings[0]
    assert len(finding.frame_logits) == SLICES
    assert finding.logit == max(finding.frame_logits)
    assert int(np.argmax(finding.frame_logits)) == 5


def test_an_uncalibrated_finding_has_a_score_and_no_probability(bright_spots: Callable[..., Any]) -> None:
    findings = {finding.name: finding for finding in read_study(a_study(a_volume(None)), [bright_spots()]).findings}
    assert findings["glioma"].probability is not None
    assert findings["meningioma"].probability is None


def test_maps_that_do_not_add_up_leave_the_finding_without_an_explanation(bright_spots: Callable[..., Any]) -> None:
    reading = read_study(a_study(a_volume((5, 60, 100))), [bright_spots(lie=0.5)])
    finding = reading.findings[0]
    assert finding.positive
    assert finding.localisation is not None
    assert finding.localisation.status == "failed"
    assert "doesn't add up" in finding.localisation.reason
    assert not reading.series[0].completeness.holds


def test_an_engine_that_fails_is_a_stated_refusal_and_the_study_is_not_read(bright_spots: Callable[..., Any]) -> None:
    reading = read_study(a_study(a_volume(None)), [bright_spots(broken=True)])
    assert reading.state == "not-read"
    assert [refusal.code for refusal in reading.unread[0].refusals] == ["engine-failed"]
    assert "out of memory" in reading.unread[0].refusals[0].reason


def test_one_engine_that_fails_does_not_keep_another_from_reading(bright_spots: Callable[..., Any]) -> None:
    reading = read_study(a_study(a_volume(None)), [bright_spots(broken=True), bright_spots()])
    assert len(reading.series) == 1
    assert reading.unread == ()


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        (6.5, 4.0),  # three slices, the fewest that are averaged
        (3.0, 2.4),  # five slices make 15 mm
        (0.1, 12 / 7),  # more than there are: all of them
        (None, 6.0),  # no volume: the largest
    ],
)
def test_a_slab_averages_the_slices_that_make_up_its_thickness(
    spacing: float | None, expected: float, bright_spots: Callable[..., Any]
) -> None:
    rule = {"study_rule": "largest-slab", "slab_mm": 15.0}
    manifest = Manifest.model_validate(bright_spots().bundle.manifest.model_dump() | rule)
    logits = np.array([0, 0, 6, 6, 0, 0, 0], dtype=np.float32)
    assert study_logit(logits, manifest, spacing) == pytest.approx(expected)


def test_one_odd_slice_among_many_makes_no_finding_by_the_slab_rule(bright_spots: Callable[..., Any]) -> None:
    plain = bright_spots().bundle.manifest
    slab = Manifest.model_validate(plain.model_dump() | {"study_rule": "largest-slab", "slab_mm": 15.0})
    logits = np.full(24, -4, dtype=np.float32)
    logits[11] = 5
    assert study_logit(logits, plain, 5.0) == 5
    assert study_logit(logits, slab, 5.0) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Modality": "CT"}, "modality"),
        ({"BodyPartExamined": "KNEE", "SeriesDescription": "T1"}, "body-part"),
        ({"ContrastBolusAgent": "", "SeriesDescription": "AX T1 PRE"}, "contrast"),
        ({"RepetitionTime": "4000", "EchoTime": "100"}, "weighting"),
    ],
)
def test_what_is_out_of_scope_is_refused_with_its_reason(
    changes: dict[str, Any], code: str, bright_spots: Callable[..., Any]
) -> None:
    reading = read_study(a_study(a_volume(None), a_header(**changes)), [bright_spots()])
    assert reading.state == "not-read"
    assert any(refusal.code.startswith(code) for refusal in reading.unread[0].refusals)
    assert all(refusal.reason for refusal in reading.unread[0].refusals)


def test_without_any_engine_the_study_is_not_read_and_the_reason_says_what_to_do() -> None:
    reading = read_study(a_study(a_volume(None)), [])
    assert reading.unread[0].refusals[0].code == "no-engine"
    assert "engine list" in reading.unread[0].refusals[0].reason


def test_pixels_that_cannot_be_decoded_are_a_stated_refusal(bright_spots: Callable[..., Any]) -> None:
    def fail(index: int) -> NDArray[np.float32]:
        raise UnreadablePixels("the frame ends early; send it again", path="a.dcm", tag="PixelData")

    study = a_study(a_volume(None))
    stack = study.stacks[0]
    broken = Stack(**{**{name: getattr(stack, name) for name in stack.__dataclass_fields__}, "decode": fail})
    reading = read_study(Study(study_instance_uid="1.2", stacks=(broken,)), [bright_spots()])
    assert reading.state == "not-read"
    assert [refusal.code for refusal in reading.unread[0].refusals] == ["unreadable-pixels"]


def test_progress_counts_the_series(bright_spots: Callable[..., Any]) -> None:
    seen: list[tuple[str, int, int]] = []
    read_study(
        a_study(a_volume(None)),
        [bright_spots()],
        options=Options(),
        progress=lambda what, done, total: seen.append((what, done, total)),
    )
    assert seen == [("AX T1 POST", 0, 1), ("", 1, 1)]


def test_a_flag_stands_with_the_series_and_a_manifest_can_make_it_a_refusal(bright_spots: Callable[..., Any]) -> None:
    study = a_study(a_volume(None), a_header(SeriesDescription="AX T1 POST OP"))
    engine = bright_spots()
    flagged = read_study(study, [engine])
    assert any(note.endswith("[hardware]") for note in flagged.series[0].notes)
    scope = engine.bundle.manifest.scope.model_copy(update={"refuse": ["hardware"]})
    manifest = engine.bundle.manifest.model_copy(update={"scope": scope})
    engine.bundle = replace(engine.bundle, manifest=manifest)
    refused = read_study(study, [engine])
    assert not refused.series
    assert [refusal.code for refusal in refused.unread[0].refusals] == ["hardware"]


class Routed:
    """An engine that also tells a site: the head or the spine, one as likely as `spine` says."""

    def __init__(self, engine: Any, spine: float) -> None:
        sites = [
            SiteEntry(name="head", basis="real", read=True, body_parts=["head"]),
            SiteEntry(name="spine", basis="phantom", read=False, body_parts=["spine"]),
        ]
        self.bundle = replace(engine.bundle, manifest=engine.bundle.manifest.model_copy(update={"sites": sites}))
        self._engine, self._spine = engine, spine

    def run(self, batch: NDArray[np.float32]) -> EngineOutput:
        sites = np.tile(np.array([1 - self._spine, self._spine], dtype=np.float32), (len(batch), 1))
        output: EngineOutput = self._engine.run(batch)
        return replace(output, sites=sites)


def test_what_looks_like_a_site_that_is_not_read_is_refused_and_no_finding_told(
    bright_spots: Callable[..., Any],
) -> None:
    reading = read_study(a_study(a_volume((4, 60, 90))), [Routed(bright_spots(), 0.9)])
    assert not reading.series
    assert not reading.problems
    [refusal] = reading.unread[0].refusals
    assert refusal.code == "site"
    assert "looks like a film of the spine" in refusal.reason


def test_a_header_that_the_picture_contradicts_is_noted_beside_the_findings(bright_spots: Callable[..., Any]) -> None:
    engine = Routed(bright_spots(), 0.97)
    # both are read: the header says head, the picture looks like a spine
    engine.bundle.manifest.sites[1] = engine.bundle.manifest.sites[1].model_copy(update={"read": True})
    [series] = read_study(a_study(a_volume((4, 60, 90))), [engine]).series
    assert [note for note in series.notes if note.endswith("[site]")]
    assert series.findings[0].positive
    [series] = read_study(a_study(a_volume((4, 60, 90))), [Routed(bright_spots(), 0.1)]).series
    assert not [note for note in series.notes if note.endswith("[site]")]
