"""An engine reads what it was made for; for all else there is a code and a sentence."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from radiolucent.engines.manifest import FindingEntry, HeadSpec, InputSpec, Manifest, ScopeSpec
from radiolucent.errors import InvalidBundle, UnreadablePixels
from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.loading import load
from radiolucent.imaging.quality import facts
from radiolucent.imaging.study import Frame, Stack
from radiolucent.ingest.eligibility import RULES, body_part_names, refusals

MR = "1.2.840.10008.5.1.4.1.1.4"


def manifest(**scope: Any) -> Manifest:
    return Manifest(
        name="brain-mri",
        version="1.0.0",
        title="Brain MRI tumours",
        summary="-",
        findings=[FindingEntry(name="glioma", basis="real", display_scale=1.0)],
        input=InputSpec(recipe="brain-mri", height=64, width=64),
        head=HeadSpec(pooling="mean", grid=(16, 16)),
        scope=ScopeSpec(modalities=["MR"], limits=[], **scope),
        study_rule="largest-slice",
        licence="Apache-2.0",
    )


BRAIN = manifest(
    body_parts=["brain"], weighting="T1", contrast=True, minimum_slices=3, needs_spacing=True, minimum_age_years=18.0
)


def stack(shape: tuple[int, int, int] = (3, 32, 32), value: float | None = None, **header: object) -> Stack:
    """A T1-weighted brain after contrast, or what `header` makes of it."""
    dataset = Dataset()
    told: dict[str, object] = {
        "SOPClassUID": MR,
        "ImageType": ["ORIGINAL", "PRIMARY", "M"],
        "BodyPartExamined": "BRAIN",
        "AcquisitionContrast": "T1",
        "ContrastBolusAgent": "GADOLINIUM",
        "PatientAge": "050Y",
    } | header
    for keyword, content in told.items():
        if content is not None:
            setattr(dataset, keyword, content)
    frames = shape[0]
    pixels = np.random.default_rng(1).random(shape, dtype=np.float32) if value is None else np.full(shape, value, "f4")
    cosines = {"row_cosines": (1.0, 0.0, 0.0), "column_cosines": (0.0, 1.0, 0.0), "spacing_mm": (1.0, 1.0)}
    return Stack(
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        modality="MR",
        kind="volume" if frames > 1 else "image",
        frames=tuple(
            Frame(
                sop_class_uid=MR,
                sop_instance_uid=f"1.2.3.{index}",
                plane=ImagePlane(position_mm=(0.0, 0.0, 5.0 * index), **cosines),  # type: ignore[arg-type]
                spacing_mm=(1.0, 1.0),
            )
            for index in range(frames)
        ),
        headers=(dataset,) * frames,
        decode=lambda index: pixels[index],
        slice_spacing_mm=5.0,
    )


def without_spacing(given: Stack) -> Stack:
    return replace(given, frames=tuple(replace(frame, spacing_mm=None) for frame in given.frames))


def codes(given: Stack, asked: Manifest = BRAIN) -> list[str]:
    return [refusal.code for refusal in refusals(given, asked)]


def test_a_t1_weighted_brain_after_contrast_may_be_read() -> None:
    assert refusals(stack(), BRAIN) == ()


CHEST = BRAIN.model_copy(
    update={"scope": ScopeSpec(modalities=["DX"], body_parts=["CHEST"], views=["PA", "AP"], limits=[])}
)


def film(view: str | None) -> Stack:
    return replace(stack((1, 32, 32), BodyPartExamined="CHEST", ViewPosition=view), modality="DX")


EXAMPLES: dict[str, tuple[Callable[[], Stack], Manifest, str]] = {
    "no-content": (lambda: stack(value=7.0), BRAIN, "every pixel has the same value"),
    "colour": (lambda: replace(stack(), colour=True), BRAIN, "a colour picture"),
    "secondary": (lambda: stack(ImageType=["DERIVED", "SECONDARY"]), BRAIN, "secondary capture or a re-formatted"),
    "localiser": (lambda: stack(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), BRAIN, "taken to plan"),
    "burned-in": (lambda: stack(BurnedInAnnotation="YES"), BRAIN, "burned into the pixels"),
    "no-geometry": (lambda: replace(stack(), kind="frames"), BRAIN, "3 frames without positions"),
    "too-few-slices": (lambda: stack((2, 32, 32)), BRAIN, "needs 3 slices or more; this has 2"),
    "too-small": (lambda: stack((3, 15, 32)), BRAIN, "15 × 32 pixels"),
    "spacing-unknown": (lambda: without_spacing(stack()), BRAIN, "needs the pixel spacing in mm"),
    "body-part-unknown": (lambda: stack(BodyPartExamined=None), BRAIN, "which body part this is; .* reads head"),
    "body-part-conflict": (lambda: stack(SeriesDescription="KNEE"), BRAIN, "contradict each other: head, knee"),
    "body-part": (lambda: stack(BodyPartExamined="ABDOMEN"), BRAIN, "reads head; this is abdomen"),
    "view-unknown": (lambda: film(None), CHEST, "which view this is; .* reads PA, AP"),
    "view": (lambda: film("LL"), CHEST, "PA, AP views; this is LATERAL"),
    "weighting-unknown": (lambda: stack(AcquisitionContrast=None), BRAIN, "how this MR is weighted; .* reads T1"),
    "weighting": (lambda: stack(AcquisitionContrast="PROTON_DENSITY"), BRAIN, "reads T1-weighted MR; this is PD"),
    "contrast-not-stated": (lambda: stack(ContrastBolusAgent=None), BRAIN, "agent was given; .* needs images after"),
    "contrast": (lambda: stack(ContrastBolusAgent="NONE"), BRAIN, "needs images after contrast; .* the opposite"),
    "age": (lambda: stack(PatientAge="017Y"), BRAIN, "patients from 18 years on"),
}


def test_every_rule_has_an_example() -> None:
    assert list(EXAMPLES) == [rule.code for rule in RULES]


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_rule_refuses_its_example_alone_and_says_why(code: str) -> None:
    make, asked, reason = EXAMPLES[code]
    (refusal,) = refusals(make(), asked)
    assert refusal.code == code
    assert refusal.engine == "brain-mri@1.0.0"
    assert re.search(reason, refusal.reason)


def test_another_modality_is_refused_without_a_look_at_the_pixels() -> None:
    def never(index: int) -> Any:
        raise AssertionError("decoded")

    (refusal,) = refusals(replace(stack(), modality="CT", decode=never), BRAIN)
    assert (refusal.code, refusal.reason) == ("modality", "Brain MRI tumours reads MR; this is CT")


def test_pixels_that_cannot_be_decoded_are_a_refusal_and_no_crash() -> None:
    def broken(index: int) -> Any:
        raise UnreadablePixels("the data end too early", path="a.dcm")

    assert codes(replace(stack(), decode=broken)) == ["unreadable-pixels"]


def test_a_picture_without_content_gets_no_further_reasons() -> None:
    assert codes(stack(value=0.0, BodyPartExamined="KNEE", AcquisitionContrast=None)) == ["no-content"]


def test_every_reason_of_scope_is_given_and_not_only_the_first() -> None:
    given = stack(BodyPartExamined="KNEE", AcquisitionContrast="T2", ContrastBolusAgent=None, PatientAge="004Y")
    assert codes(given) == ["body-part", "weighting", "contrast-not-stated", "age"]


def test_an_engine_for_images_before_contrast_refuses_those_after() -> None:
    asked = manifest(contrast=False)
    assert codes(stack(), asked) == ["contrast"]
    assert codes(stack(ContrastBolusAgent="NONE"), asked) == []


def test_an_engine_without_limits_reads_what_has_a_picture() -> None:
    given = stack(BodyPartExamined=None, AcquisitionContrast=None, ContrastBolusAgent=None, PatientAge=None)
    assert codes(without_spacing(given), manifest()) == []


def test_a_frontal_film_may_be_read_by_an_engine_for_frontal_films() -> None:
    assert codes(film("AP"), CHEST) == []


def test_an_unknown_age_alone_refuses_nothing() -> None:
    assert codes(stack(PatientAge=None)) == []


@pytest.mark.parametrize("part", ["LSPINE", "TSPINE"])
def test_a_more_exact_part_belongs_to_the_larger_one_and_not_the_reverse(part: str) -> None:
    given = stack(BodyPartExamined=part)
    assert codes(given, manifest(body_parts=["spine"])) == []
    assert codes(stack(BodyPartExamined="SPINE"), manifest(body_parts=[part])) == ["body-part"]


def test_facts_at_hand_are_used() -> None:
    given = stack()
    known = replace(facts(given), contrast=False)
    assert [refusal.code for refusal in refusals(given, BRAIN, known)] == ["contrast"]


def test_scope_may_use_the_words_of_headers_and_an_unknown_word_is_refused() -> None:
    assert body_part_names(["BRAIN", "head", "L SPINE"]) == ("head", "head", "lumbar-spine")
    with pytest.raises(InvalidBundle, match=r"scope\.body_parts: 'soul' is not known; known: head"):
        body_part_names(["soul"])


@pytest.fixture(scope="module")
def samples() -> Path:
    folder = os.environ.get("RADIOLUCENT_DATA")
    if not folder:
        pytest.skip("needs real images: set RADIOLUCENT_DATA to the folder that holds dicom-samples")
    return Path(folder) / "dicom-samples"


REAL = manifest(body_parts=["head"], weighting="T1", contrast=True)


def test_proton_density_without_contrast_is_refused_for_both_reasons(samples: Path) -> None:
    (study,) = load(samples / "brain-mr").studies
    assert codes(study.stacks[0], REAL) == ["weighting", "contrast-not-stated"]


def test_all_six_real_studies_after_contrast_may_be_read(samples: Path) -> None:
    stacks = [stack for study in load(samples / "brain-mr-t1post").studies for stack in study.stacks]
    assert [codes(stack, REAL) for stack in stacks] == [[]] * 6


def test_the_whole_zoo_is_refused_with_reasons_but_for_the_six(samples: Path) -> None:
    stacks = [stack for study in load(samples).studies for stack in study.stacks]
    first = Counter(next(iter(codes(stack, REAL)), "may be read") for stack in stacks)
    assert first["may be read"] == 6
    assert first["modality"] >= 15
    assert {"weighting", "body-part"} <= set(first)
