"""Each flag has a code, a sentence and a case in which it is raised; a manifest can make any of them a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from radiolucent.engines.manifest import FindingEntry, HeadSpec, InputSpec, Manifest, ScopeSpec
from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.quality import StackFacts
from radiolucent.imaging.study import Frame, Stack
from radiolucent.ingest.eligibility import refusals
from radiolucent.ingest.flagging import FLAGS, flags
from radiolucent.phantom.studies import make_study

DX = "1.2.840.10008.5.1.4.1.1.1.1"
RNG = np.random.default_rng(3)
SHARP = RNG.normal(1000, 200, (1, 160, 160)).astype(np.float32)
MakeFacts = Callable[..., StackFacts]


def manifest(modality: str = "DX", *parts: str, **scope: Any) -> Manifest:
    return Manifest(
        name="an-engine",
        version="1.0.0",
        title="An engine",
        summary="-",
        findings=[FindingEntry(name="mass", basis="real", display_scale=1.0)],
        input=InputSpec(recipe="chest", height=64, width=64),
        head=HeadSpec(pooling="mean", grid=(8, 8)),
        scope=ScopeSpec(modalities=[modality], body_parts=list(parts), limits=[], **scope),
        study_rule="largest-slice",
        licence="Apache-2.0",
    )


def film(pixels: NDArray[np.float32] = SHARP, *, modality: str = "DX", sop_class: str = DX, **header: object) -> Stack:
    dataset = Dataset()
    for keyword, value in {"PatientAge": "050Y", **header}.items():
        setattr(dataset, keyword, value)
    return Stack(
        study_instance_uid="1",
        series_instance_uid="1.1",
        modality=modality,
        kind="image",
        frames=(Frame(sop_class_uid=sop_class, sop_instance_uid="1.2", spacing_mm=(0.2, 0.2)),),
        headers=(dataset,),
        decode=lambda index: pixels[index],
    )


def head(pixels: NDArray[np.float32], gap: float = 5.0) -> Stack:
    planes = [
        ImagePlane(
            position_mm=(0.0, 0.0, gap * index),
            row_cosines=(1.0, 0.0, 0.0),
            column_cosines=(0.0, 1.0, 0.0),
            spacing_mm=(1.0, 1.0),
        )
        for index in range(len(pixels))
    ]
    frames = tuple(
        Frame(sop_class_uid="1.2", sop_instance_uid=f"1.2.{index}", plane=plane, spacing_mm=(1.0, 1.0))
        for index, plane in enumerate(planes)
    )
    return replace(
        film(pixels, modality="CT"),
        kind="volume",
        frames=frames,
        headers=(Dataset(),) * len(frames),
        slice_spacing_mm=gap,
    )


def known(**changes: Any) -> StackFacts:
    given: dict[str, Any] = {"modality": "DX", "frames": 1, "rows": 160, "columns": 160, "age_years": 50.0}
    return StackFacts(**(given | changes))


def with_metal() -> Stack:
    pixels = np.full((24, 64, 64), 30, dtype=np.float32)
    pixels[:, 20:26, 20:26] = 3000
    return head(pixels)


def chest_cut_at_its_side() -> Stack:
    dataset = make_study("chest-xr", seed=2, rows=256, view="PA").datasets[0]
    picture = dataset.pixel_array.astype(np.float32)
    return film(picture[None, 20:, 62:])


def burnt_out() -> NDArray[np.float32]:
    pixels = SHARP.copy()
    pixels[:, 60:110, 60:110] = pixels.max()
    return pixels


def with_text() -> NDArray[np.float32]:
    picture = Image.fromarray((SHARP[0] / 10).clip(0, 200).astype(np.uint8))
    ImageDraw.Draw(picture).text((6, 60), "DOE JANE", fill=255, font=ImageFont.load_default(24))
    return np.asarray(picture, dtype=np.float32)[None] * 10


DRAWN: dict[str, tuple[Stack, Manifest, StackFacts]] = {
    "portable": (film(), manifest(), known(portable=True)),
    "paediatric": (film(), manifest(), known(age_years=7.0)),
    "age-unknown": (film(), manifest(minimum_age_years=18.0), known(age_years=None)),
    "hardware": (with_metal(), manifest("CT"), known(modality="CT", frames=24)),
    "exposure": (film(burnt_out()), manifest(), known()),
    "field-of-view": (head(np.zeros((5, 32, 32), dtype=np.float32)), manifest("CT", "HEAD"), known(modality="CT")),
    "motion": (film(np.tile(np.linspace(0, 1, 160, dtype=np.float32), (1, 160, 1))), manifest(), known()),
    "text": (film(with_text()), manifest(), known()),
    "raw": (film(), manifest(), known(is_for_processing=True)),
    "lossy": (film(), manifest(), known(is_lossy=True)),
    "polarity": (film(), manifest(), known(polarity_doubtful=True)),
}


def test_every_flag_has_a_case_here() -> None:
    assert [flag.code for flag in FLAGS] == list(DRAWN)


@pytest.mark.parametrize("code", DRAWN)
def test_the_flag_is_raised_alone_with_a_sentence(code: str) -> None:
    stack, engine, facts = DRAWN[code]
    raised = flags(stack, engine, facts)
    assert [flag.code for flag in raised] == [code]
    assert len(raised[0].reason) > 20
    assert not raised[0].reason.endswith(".")


def test_a_plain_film_raises_none() -> None:
    assert flags(film(), manifest(), known()) == ()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("HIP AP POST OP THR", "hardware"),
        ("WRIST_ORIF_PLATE", "hardware"),
        ("CHEST MOTION REPEAT", "motion"),
        ("template of contemporary art", ""),
    ],
)
def test_what_the_description_says_counts_as_well(words: str, code: str) -> None:
    raised = flags(film(SeriesDescription=words), manifest(), known())
    assert [flag.code for flag in raised] == ([code] if code else [])


def test_a_chest_film_whose_lung_runs_out_of_the_picture_is_flagged_and_a_whole_one_is_not() -> None:
    whole = film(make_study("chest-xr", seed=2, rows=256, view="PA").datasets[0].pixel_array.astype(np.float32)[None])
    chest = known(body_part="chest")
    assert "field-of-view" in {flag.code for flag in flags(chest_cut_at_its_side(), manifest(), chest)}
    assert "field-of-view" not in {flag.code for flag in flags(whole, manifest(), chest)}


@pytest.mark.parametrize(
    ("modality", "sop_class"),
    [("RF", DX), ("XA", DX), ("DX", "1.2.840.10008.5.1.4.1.1.12.2")],
    ids=["RF", "XA", "an RF object called DX"],
)
def test_fluoroscopy_is_refused_by_name(modality: str, sop_class: str) -> None:
    (refusal,) = refusals(film(modality=modality, sop_class=sop_class), manifest())
    assert refusal.code == "fluoroscopy"
