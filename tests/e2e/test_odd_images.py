"""Images and headers that nobody expects: shown as they are, or refused in words, and no harm to the page."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from tests.e2e.reading_room import Desk, Server

Sit = Callable[..., Desk]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
RAMP = np.tile(np.linspace(0, 4095, 96).astype(np.uint16), (96, 1))
"""Dark at the left, bright at the right."""
COLOURS = np.stack([np.full((64, 64), value, np.uint8) for value in (200, 20, 20)], axis=-1)


def dicom(pixels: NDArray[Any], *, frames: int = 1, **header: Any) -> bytes:
    """A file with these pixels."""
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    one.StudyInstanceUID, one.SeriesInstanceUID = generate_uid(), generate_uid()
    one.PatientID, one.PatientName, one.Modality, one.InstanceNumber = "ODD-1", "ODD^NAME", "OT", "1"
    colour = pixels.shape[-1] == 3
    one.Rows, one.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    one.SamplesPerPixel = 3 if colour else 1
    one.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        one.PlanarConfiguration = 0
    one.BitsAllocated = one.BitsStored = pixels.itemsize * 8
    one.HighBit, one.PixelRepresentation = one.BitsStored - 1, 0
    if frames > 1:
        one.NumberOfFrames = frames
    for keyword, value in header.items():
        setattr(one, keyword, value)
    one.PixelData = pixels.tobytes()
    data = io.BytesIO()
    one.save_as(data, enforce_file_format=True)
    return data.getvalue()


@pytest.fixture(scope="module")
def room(own_room: Server) -> Server:
    return own_room


@pytest.fixture
def opened(desk: Sit) -> Callable[[bytes], Desk]:
    """Uploads a file and opens its study; what the console complains of fails the test."""

    def upload(data: bytes) -> Desk:
        me = desk("radiologist")
        me.tab.on("dialog", lambda dialog: me.errors.append(f"a dialog opened: {dialog.message}"))
        me.go("/upload")
        file = {"name": "odd.dcm", "mimeType": "application/dicom", "buffer": data}
        me.tab.set_input_files("input[type=file]", file)
        me.tab.get_by_role("button", name="Upload and read").click()
        me.tab.wait_for_url("**/studies/*")
        me.ready()
        return me

    return upload


def bright(me: Desk) -> NDArray[np.bool_]:
    """Where the pane isn't black, without what stands at its edges."""
    return np.asarray(me.pixels()[60:-90].max(axis=2) > 60)


def test_tags_in_a_header_are_text(opened: Callable[[bytes], Desk]) -> None:
    me = opened(dicom(RAMP, PatientID=EVIL, StudyDescription=EVIL, SeriesDescription=EVIL, PatientName=EVIL))
    assert EVIL in me.tab.inner_text("h1")
    assert "alert" not in me.tab.title() + me.tab.url
    me.go("/worklist")
    assert me.tab.locator("table.worklist img, table.worklist script").count() == 0
    assert me.tab.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    table = me.tab.locator(".scroll").first
    assert table.evaluate("one => one.scrollWidth - one.clientWidth") <= 0  # a long name pushes no column out of sight


def test_monochrome1_shows_its_low_values_bright(opened: Callable[[bytes], Desk]) -> None:
    me = opened(dicom(RAMP, PhotometricInterpretation="MONOCHROME1", WindowCenter=2048, WindowWidth=4096))
    picture = me.pixels()[200:-200].mean(axis=(0, 2))
    seen = np.flatnonzero(picture > 60)
    assert picture[seen[0] + 5] > 200
    assert picture[seen[0] + 5] > picture[seen[-1] - 5]


@pytest.mark.parametrize(
    ("header", "ratio"),
    [({"PixelAspectRatio": [3, 1]}, 3.0), ({"PixelSpacing": [0.5, 1.0]}, 0.5), ({"PixelAspectRatio": [0, 1]}, 1.0)],
    ids=["aspect 3:1", "spacing 1:2", "aspect 0:1"],
)
def test_pixels_that_are_no_squares_are_drawn_so(
    opened: Callable[[bytes], Desk], header: dict[str, Any], ratio: float
) -> None:
    block = np.zeros((96, 96), np.uint16)
    block[32:64, 32:64] = 3000
    me = opened(dicom(block, WindowCenter=1500, WindowWidth=3000, **header))
    seen = bright(me)
    rows, columns = np.flatnonzero(seen[:, seen.shape[1] // 2]), np.flatnonzero(seen[seen.shape[0] // 2])
    drawn = (rows[-1] - rows[0] + 1) / (columns[-1] - columns[0] + 1)
    assert drawn == pytest.approx(ratio, rel=0.05)


def test_a_colour_loop_scrolls_and_has_no_window(opened: Callable[[bytes], Desk]) -> None:
    loop = np.stack([np.roll(COLOURS, shift, axis=0) for shift in range(6)])
    me = opened(dicom(loop, frames=6))
    assert "colour" in me.tab.locator(".viewer-pane").first.inner_text()
    assert np.ptp(me.pixels()[300, 300:600], axis=1).max() > 100
    assert me.tab.get_by_label("Width").is_disabled()
    me.tab.locator(".viewer-pane").first.focus()
    first = me.frame()
    me.press("ArrowDown")
    assert me.frame() == first + 1


@pytest.mark.parametrize(
    "header",
    [
        {"RescaleSlope": "1e9", "RescaleIntercept": "-1e12", "WindowCenter": "1e12", "WindowWidth": "1e30"},
        {"WindowCenter": "100", "WindowWidth": "0"},
        {"WindowCenter": "100", "WindowWidth": "-5"},
    ],
    ids=["huge", "no width", "negative width"],
)
def test_impossible_values_still_give_an_image(opened: Callable[[bytes], Desk], header: dict[str, Any]) -> None:
    me = opened(dicom(RAMP, **header))
    assert bright(me).any()


def test_an_image_as_thin_as_a_ruler_is_shown_whole(opened: Callable[[bytes], Desk]) -> None:
    me = opened(dicom(np.full((1500, 40), 3000, np.uint16), WindowCenter=1500, WindowWidth=3000))
    seen = np.flatnonzero(bright(me).any(axis=0))
    assert 5 < seen[-1] - seen[0] < 60


def test_what_is_too_small_to_read_is_refused_in_words(desk: Sit) -> None:
    me = desk("radiologist")
    me.go("/upload")
    file = {"name": "one.dcm", "mimeType": "application/dicom", "buffer": dicom(np.array([[7]], np.uint16))}
    me.tab.set_input_files("input[type=file]", file)
    me.tab.get_by_role("button", name="Upload and read").click()
    refused = me.tab.locator("[data-upload-refused]")
    refused.wait_for(state="visible")
    assert "too few to read" in refused.inner_text()


def test_warnings_of_quality_and_the_interval_of_a_probability_stand_open_on_the_page(desk: Sit, room: Server) -> None:
    document = room.folder / "bleed" / "reading" / "reading.json"
    told = json.loads(document.read_text(encoding="utf-8"))
    [series] = told["studies"][0]["series"]
    series["notes"] = ["the picture is blurred", "<b>cut off</b>"]
    series["findings"][0]["interval"] = [0.913, 0.987]
    document.write_text(json.dumps(told), encoding="utf-8")
    me = desk("radiologist")
    me.study(room.bleed)
    notes = me.tab.locator("[data-notes]")
    assert notes.is_visible()  # also before anyone says to have looked
    assert notes.get_by_role("listitem").all_inner_texts() == ["the picture is blurred", "<b>cut off</b>"]
    me.looked()
    assert "95 % interval 91 % to 99 %" in me.tab.locator("article.finding").first.inner_text()
