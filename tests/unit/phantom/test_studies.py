"""Phantom studies: truth that matches the picture, headers that a validator accepts, the same bytes every time."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from radiolucent.errors import SetupError
from radiolucent.imaging.geometry import ImagePlane
from radiolucent.phantom import arrays, make_study
from radiolucent.phantom.bone_sites import SITES
from radiolucent.phantom.studies import FINDINGS, KINDS, write_studies

SMALL: dict[str, dict[str, Any]] = {
    "brain-mr": {"rows": 64, "slices": 16},
    "head-ct": {"rows": 64, "slices": 16},
    "chest-xr": {"rows": 192},
    "bone-xr": {"rows": 192},
}
EVERY_FINDING = [(kind, finding) for kind in KINDS for finding in FINDINGS[kind]]
HEADERS: list[tuple[str, str, dict[str, Any]]] = [
    ("brain-mr", "glioma", {"contrast": "t1post"}),
    ("brain-mr", "meningioma", {"contrast": "t1", "plane": "coronal"}),
    ("brain-mr", "pituitary", {"contrast": "flair", "plane": "sagittal"}),
    ("head-ct", "subdural", {}),
    ("chest-xr", "nodule", {"view": "PA"}),
    ("chest-xr", "effusion", {"view": "AP"}),
    ("chest-xr", "cardiomegaly", {"view": "LL"}),
    ("bone-xr", "hairline", {"site": "ankle", "view": "AP"}),
    ("bone-xr", "displaced", {"site": "spine", "view": "LL"}),
    ("bone-xr", "hardware", {"site": "pelvis"}),
]
VOLUMES = [kind for kind in KINDS if kind in ("brain-mr", "head-ct")]


def plane_of(dataset: Dataset) -> ImagePlane:
    x, y, z = (float(value) for value in dataset.ImagePositionPatient)
    a, b, c, d, e, f = (float(value) for value in dataset.ImageOrientationPatient)
    down, across = (float(value) for value in dataset.PixelSpacing)
    return ImagePlane(position_mm=(x, y, z), row_cosines=(a, b, c), column_cosines=(d, e, f), spacing_mm=(down, across))


@pytest.mark.parametrize(("kind", "finding"), EVERY_FINDING)
def test_every_finding_is_in_the_picture_where_its_mask_says(kind: str, finding: str) -> None:
    sick, _, masks = arrays(kind, [finding], seed=11, **SMALL[kind])
    well, _, none = arrays(kind, [], seed=11, **SMALL[kind])
    assert none == {}
    assert masks
    change = np.abs(sick - well)
    for mask in masks.values():
        assert mask.shape == sick.shape
        assert mask.any()
    everywhere = np.logical_or.reduce(list(masks.values()))
    assert change[everywhere].mean() > 2 * change[~everywhere].mean()


@pytest.mark.parametrize("kind", KINDS)
def test_several_findings_come_out_at_once(kind: str) -> None:
    wanted = ("fracture", "hardware") if kind == "bone-xr" else FINDINGS[kind][:2]
    _, _, masks = arrays(kind, wanted, seed=4, **SMALL[kind])
    assert set(wanted) <= set(masks)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), finding=st.sampled_from(FINDINGS["brain-mr"]))
def test_brain_tumours_lie_inside_the_head_for_any_seed(seed: int, finding: str) -> None:
    pixels, spacing, masks = arrays("brain-mr", [finding], seed=seed, rows=64, slices=20)
    assert masks[finding].sum() * spacing[0] * spacing[1] > 100
    assert np.median(pixels[masks[finding]]) > 0.1 * np.percentile(pixels, 99)
    assert pixels.min() >= 0
    assert pixels.max() <= 4095


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_arguments_give_the_same_bytes_and_uids(kind: str) -> None:
    first, second = (make_study(kind, FINDINGS[kind][:1], seed=5, **SMALL[kind]) for _ in range(2))
    assert [d.PixelData for d in first.datasets] == [d.PixelData for d in second.datasets]
    assert [d.SOPInstanceUID for d in first.datasets] == [d.SOPInstanceUID for d in second.datasets]
    other = make_study(kind, FINDINGS[kind][:1], seed=6, **SMALL[kind])
    assert other.datasets[0].StudyInstanceUID != first.datasets[0].StudyInstanceUID
    assert other.datasets[0].PixelData != first.datasets[0].PixelData


@pytest.mark.parametrize("kind", VOLUMES)
def test_the_centroid_in_mm_is_the_centroid_in_pixels(kind: str) -> None:
    study = make_study(kind, FINDINGS[kind][:1], seed=2, **SMALL[kind])
    lesion = study.lesions[0]
    assert lesion.centroid_mm is not None
    frame, row, column = lesion.centroid_pixel
    plane = plane_of(study.datasets[round(frame)])
    gap = float(study.datasets[0].SpacingBetweenSlices)
    np.testing.assert_allclose(plane.to_pixel(np.array(lesion.centroid_mm)), [row, column], atol=1e-3)
    assert abs(plane.distance_mm(lesion.centroid_mm)) == pytest.approx(abs(frame - round(frame)) * gap, abs=1e-2)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_frames_come_in_reading_order(plane: str) -> None:
    study = make_study("brain-mr", seed=1, rows=48, slices=4, plane=plane)
    places = np.array([dataset.ImagePositionPatient for dataset in study.datasets], dtype=float)
    axis, sign = {"axial": (2, 1), "coronal": (1, -1), "sagittal": (0, 1)}[plane]
    assert np.all(np.diff(places[:, axis]) * sign > 0)


@pytest.mark.parametrize("kind", VOLUMES)
def test_a_prior_shows_the_same_patient_earlier(kind: str) -> None:
    finding = FINDINGS[kind][1]
    study = make_study(kind, [finding], seed=9, **SMALL[kind])
    prior = make_study(kind, seed=9, prior_of=study)
    assert prior.datasets[0].PatientID == study.datasets[0].PatientID
    assert prior.datasets[0].StudyDate < study.datasets[0].StudyDate
    assert prior.datasets[0].StudyInstanceUID != study.datasets[0].StudyInstanceUID
    smaller, current = prior.lesions[0].volume_ml, study.lesions[0].volume_ml
    assert smaller is not None
    assert current is not None
    assert smaller < 0.8 * current
    larger = make_study(kind, seed=9, prior_of=study, change="larger").lesions[0].volume_ml
    assert larger is not None
    assert larger > 1.2 * current
    assert make_study(kind, seed=9, prior_of=study, change="absent").lesions == ()


def test_the_midline_shift_is_stated_and_points_away_from_the_bleed() -> None:
    study = make_study("head-ct", ["subdural"], seed=3, **SMALL["head-ct"])
    assert study.lesions[0].extras["midline_shift_mm"] > 2
    healthy = make_study("head-ct", ["subarachnoid"], seed=3, **SMALL["head-ct"])
    assert healthy.lesions[0].extras["midline_shift_mm"] == pytest.approx(0, abs=0.1)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (package dicom3tools) is not installed")
@pytest.mark.parametrize(("kind", "finding", "options"), HEADERS)
def test_a_validator_finds_no_error(kind: str, finding: str, options: dict[str, Any], tmp_path: Path) -> None:
    study = make_study(kind, [finding], seed=21, **SMALL[kind], **options)
    path = study.save(tmp_path)[0]
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_can_take_a_phantom_for_a_patient(kind: str) -> None:
    dataset = make_study(kind, seed=1, **SMALL[kind]).datasets[0]
    assert str(dataset.PatientName).startswith("PHANTOM^")
    assert dataset.PatientID.startswith("PHANTOM-")
    assert "NOT FOR CLINICAL USE" in dataset.ImageComments
    assert "SYNTHETIC" in dataset.StudyDescription
    assert dataset.BurnedInAnnotation == "NO"


def test_a_saved_study_reads_back_with_its_truth(tmp_path: Path) -> None:
    study = make_study("brain-mr", ["glioma", "meningioma"], seed=8, **SMALL["brain-mr"])
    written = study.save(tmp_path)
    assert all(path.exists() for path in written)
    images = [pydicom.dcmread(path) for path in written if path.suffix == ".dcm"]
    assert [image.SOPInstanceUID for image in images] == [dataset.SOPInstanceUID for dataset in study.datasets]
    truth = json.loads((tmp_path / "truth.json").read_text())
    masks = np.load(tmp_path / "truth.npz")
    for entry, lesion in zip(truth["lesions"], study.lesions, strict=True):
        assert entry["finding"] == lesion.finding
        assert masks[entry["mask"]].dtype == bool
        np.testing.assert_array_equal(masks[entry["mask"]], lesion.mask)
        assert entry["centroid_mm"] == pytest.approx(lesion.centroid_mm)


def test_many_studies_are_written_with_priors_and_progress(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    written = write_studies(
        "brain-mr", ["glioma"], 2, True, 7, tmp_path, lambda done, total: seen.append((done, total)), rows=48, slices=8
    )
    assert seen == [(1, 2), (2, 2)]
    assert (tmp_path / "001" / "prior" / "truth.json") in written
    assert (tmp_path / "000" / "current" / "001.dcm") in written


@pytest.mark.parametrize(("site", "view"), [(site, view) for site in SITES for view in SITES[site]])
def test_every_bone_site_shows_fracture_and_metal(site: str, view: str) -> None:
    options: dict[str, Any] = {"rows": 160, "site": site, "view": view}
    sick, _, masks = arrays("bone-xr", ["displaced", "hardware"], seed=3, **options)
    well, _, _ = arrays("bone-xr", [], seed=3, **options)
    assert set(masks) == {"fracture", "hardware"}
    assert sick[masks["hardware"]].mean() > well[masks["hardware"]].mean() + 300
    assert np.abs(sick - well)[masks["fracture"]].mean() > 100


def test_an_unknown_kind_is_named_with_the_valid_ones() -> None:
    with pytest.raises(SetupError, match="brain-mr"):
        make_study("foot-mr", seed=1)


def test_an_unknown_finding_is_named_with_the_valid_ones() -> None:
    with pytest.raises(SetupError, match="meningioma"):
        make_study("brain-mr", ["subdural"], seed=1)


def test_a_finding_may_be_shortened_unless_it_is_ambiguous() -> None:
    assert make_study("brain-mr", ["pituitary"], seed=1, rows=64, slices=16).findings == ("pituitary-tumour",)
    with pytest.raises(SetupError, match="intra"):
        make_study("head-ct", ["intra"], seed=1)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("brain-mr", {"matrix": 3}),
        ("brain-mr", {"plane": "diagonal"}),
        ("brain-mr", {"contrast": "t2"}),
        ("brain-mr", {"contrast": "ct"}),
        ("brain-mr", {"sex": "X"}),
        ("brain-mr", {"rows": 8}),
        ("brain-mr", {"slices": 0}),
        ("chest-xr", {"view": "oblique"}),
        ("chest-xr", {"rows": 8}),
        ("bone-xr", {"site": "elbow"}),
        ("bone-xr", {"view": "LL", "site": "shoulder"}),
        ("bone-xr", {"rows": 8}),
    ],
)
def test_a_wrong_option_is_refused(kind: str, options: dict[str, Any]) -> None:
    with pytest.raises(SetupError, match=next(iter(options))):
        make_study(kind, seed=1, **options)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(SetupError, match="seed"):
        make_study("brain-mr", seed=-1)


def test_a_prior_of_another_kind_or_change_is_refused() -> None:
    study = make_study("brain-mr", seed=1, rows=32, slices=2)
    with pytest.raises(SetupError, match="prior"):
        make_study("head-ct", seed=1, prior_of=study)
    with pytest.raises(SetupError, match="change"):
        make_study("brain-mr", seed=1, prior_of=study, change="gone")  # type: ignore[arg-type]
