"""Uploads in a real browser: drop a file or choose it, see how far it is, and read the study with its heatmap."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from tests.e2e.reading_room import Desk, Server, shape

Sit = Callable[..., Desk]
DROP = """([zone, files]) => {
  const data = new DataTransfer();
  for (const [name, text] of files)
    data.items.add(new File([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))], name));
  for (const kind of ['dragenter', 'dragover', 'drop'])
    document.querySelector(zone).dispatchEvent(
      new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


def drop(me: Desk, *files: tuple[str, bytes], zone: str = "form[data-upload]") -> None:
    """Let files fall on the zone."""
    me.tab.evaluate(DROP, [zone, [[name, base64.b64encode(data).decode()] for name, data in files]])


def renamed(paths: Sequence[Path], **header: str) -> bytes:
    """A zip of the same images as a study of its own, with other words in its header."""
    study, series, buffer = generate_uid(), generate_uid(), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            one, data = dcmread(path), io.BytesIO()
            one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID = study, series, generate_uid()
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
            for keyword, value in header.items():
                setattr(one, keyword, value)
            one.save_as(data, enforce_file_format=True)
            archive.writestr(f"{path.name}", data.getvalue())
    return buffer.getvalue()


@pytest.fixture(scope="module")
def room(own_room: Server) -> Server:
    return own_room


@pytest.fixture
def images(room: Server) -> list[Path]:
    return sorted((room.folder / "bleed" / "study").glob("*.dcm"))


def test_a_dropped_zip_is_read_and_opens_with_its_heatmap(desk: Sit, room: Server, images: list[Path]) -> None:
    me = desk("radiologist")
    me.go("/upload")
    assert "Drop a DICOM file or a zip here" in me.tab.inner_text("form[data-upload]")
    drop(me, ("PHANTOM^NAME.zip", renamed(images)))
    me.tab.wait_for_url("**/studies/*")
    me.ready()
    assert "PHANTOM" not in me.tab.url
    me.looked()
    me.toggle(on=True)
    assert len(me.coloured(shape(room))) > 50


def test_how_far_it_is_is_told_while_it_is_sent_and_read(desk: Sit, images: list[Path]) -> None:
    me = desk("radiologist")
    me.go("/upload")
    me.tab.evaluate(
        """() => { window.told = [];
             new MutationObserver(() => window.told.push(document.querySelector('[data-upload-words]').textContent))
               .observe(document.querySelector('[data-upload-running]'), { childList: true, subtree: true }); }"""
    )
    me.tab.evaluate("addEventListener('pagehide', () => sessionStorage.setItem('told', JSON.stringify(window.told)))")
    drop(me, ("study.zip", renamed(images)))
    me.tab.wait_for_url("**/studies/*")
    words = me.tab.evaluate("JSON.parse(sessionStorage.getItem('told'))")
    assert words[0].startswith("sending")
    assert any(one.startswith("reading: ") for one in words)


def test_a_chosen_file_goes_the_same_way_by_keyboard_alone(desk: Sit, images: list[Path]) -> None:
    me = desk("radiologist")
    me.go("/upload")
    chosen = {"name": "study.zip", "mimeType": "application/zip", "buffer": renamed(images)}
    me.tab.set_input_files("input[type=file]", chosen)
    me.tab.locator("input[type=file]").focus()
    me.tab.keyboard.press("Tab")
    me.tab.keyboard.press("Enter")
    me.tab.wait_for_url("**/studies/*")
    me.ready()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([("a.dcm", b"1"), ("b.dcm", b"2")], "One file at a time"),
        ([("folder", b"")], "empty, or a folder"),
        ([("letter.txt", b"no DICOM at all")], "Not read"),
    ],
)
def test_what_can_not_be_taken_is_refused_in_place_and_another_try_is_open(
    desk: Sit, files: list[tuple[str, bytes]], words: str
) -> None:
    me = desk("radiologist")
    me.go("/upload")
    drop(me, *files)
    refused = me.tab.locator("[data-upload-refused]")
    refused.wait_for(state="visible")
    assert words in refused.inner_text()
    assert me.tab.get_by_role("button", name="Upload and read").is_enabled()
    assert me.tab.url.endswith("/upload")


def test_a_file_beside_the_zone_does_not_take_the_place_of_the_page(desk: Sit) -> None:
    me = desk("radiologist")
    me.go("/upload")
    assert me.tab.evaluate(
        """() => { const event = new DragEvent('drop', { bubbles: true, cancelable: true });
             document.querySelector('footer').dispatchEvent(event); return event.defaultPrevented; }"""
    )
