from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from radiolucent.explain.legend import (
    COLOUR_MAPS,
    WARNING,
    Legend,
    band,
    band_height,
    colours,
    font,
    panel,
    shorten,
    wrap,
)


def legend(**changes: object) -> Legend:
    values: dict[str, object] = {
        "finding": "Glioma",
        "engine": "brain-mri@1.0.0",
        "method": "evidence map (Grad-CAM)",
        "grid": (20, 20),
        "display_scale": 4.0,
        "floor": 0.3,
        "contour": 0.5,
        "peak": 5.1,
        "empty": False,
        "colour_map": "inferno",
    }
    return Legend(**{**values, **changes})  # type: ignore[arg-type]


def lightness(colour: np.ndarray) -> np.ndarray:
    """CIELAB L* of sRGB (IEC 61966-2-1, CIE 1976)."""
    value = colour / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.asarray(np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance))


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_every_allowed_colour_map_only_gets_lighter(name: str) -> None:
    steps = np.diff(lightness(colours(name).astype(float)))
    assert steps.min() > -0.5, "8-bit rounding aside"
    assert lightness(colours(name).astype(float))[-1] > 85


@pytest.mark.parametrize("name", ["jet", "turbo", "rainbow", ""])
def test_a_colour_map_whose_lightness_falls_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="rising lightness"):
        colours(name)


def test_the_headline_of_an_empty_map_says_so_in_words() -> None:
    assert legend(empty=True).headline == "Glioma: no focus above threshold"
    assert legend().headline == "Glioma: model attention"


def test_the_facts_name_engine_method_and_grid() -> None:
    assert legend().facts == "brain-mri@1.0.0 · evidence map (Grad-CAM) · grid 20 x 20"


def test_wrapped_lines_fit_and_keep_every_word() -> None:
    text = "a finding with quite a long name that needs several lines of its own"
    lines = wrap(text, 20, 200)
    assert len(lines) > 1
    assert " ".join(lines) == text
    assert all(font(20).getlength(line) <= 200 for line in lines)


def test_a_word_that_is_too_wide_is_cut_with_dots() -> None:
    cut = shorten("pneumonoultramicroscopic", 20, 100)
    assert cut.endswith("...")
    assert font(20).getlength(cut) <= 100


@pytest.mark.parametrize("width", [256, 360, 720, 1200])
def test_the_panel_is_as_wide_as_the_picture_and_holds_light_text_on_dark(width: int) -> None:
    drawn = panel(legend(), width)
    assert drawn.shape[1:] == (width, 3)
    assert drawn.max() > 230
    assert np.median(drawn) < 30


def test_a_narrow_panel_grows_in_height_rather_than_dropping_words() -> None:
    long = legend(finding="Widened mediastinum with a long explanation of its name")
    assert panel(long, 300).shape[0] > panel(legend(finding="Mass"), 300).shape[0]


def test_the_panel_shows_the_scale_and_the_warning() -> None:
    with_warning = panel(legend(), 720)
    other_scale = panel(legend(display_scale=8.0), 720)
    assert (with_warning != other_scale).any()
    colour = with_warning.reshape(-1, 3)
    assert (colour == colours("inferno")[-1]).all(axis=1).any(), "the end of the scale is on the bar"
    assert len(WARNING) > 20


def test_the_band_stays_within_its_rows() -> None:
    for side in (128, 256, 1024):
        picture = Image.new("RGB", (side, side), (90, 90, 90))
        tall = band_height((side, side))
        band(picture, legend(), side - tall)
        drawn = np.asarray(picture)
        assert (drawn[: side - tall] == 90).all()
        assert (drawn[-2:] != 90).any()
        assert tall < 0.5 * side


def test_a_larger_image_gives_a_larger_band_but_a_smaller_share() -> None:
    heights = [band_height((side, side)) for side in (256, 512, 1024, 2048)]
    assert all(first < second for first, second in pairwise(heights))
    assert all(first / 256 > second / 512 for first, second in pairwise(heights[:2]))
