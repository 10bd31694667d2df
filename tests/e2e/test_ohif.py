"""OHIF 3.13 shows results that came back from Orthanc: the map and the areas on the original, the capture in colour.

Slow: the viewer renders with a software GPU. Screenshots go to the folder that RADIOLUCENT_SCREENSHOTS names.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from radiolucent.results.destinations.cstore import CStore
from tests.e2e.ohif import FLAGS, viewer
from tests.integration.peers import PeerMissing, start_orthanc
from tests.integration.phantom_route import read_phantom

PATIENCE_MS = 300_000
TOP, BOTTOM, LEFT, RIGHT = 160, 560, 340, 920  # the viewport, without panels, tools, questions and most text
COLOURED, TRIES, LOOK_MS = 500, 5, 3_000
VIEWPORT = (BOTTOM - TOP) * (RIGHT - LEFT)
THUMBNAILS = '[data-cy="study-browser-thumbnail"], [data-cy="study-browser-thumbnail-no-image"]'
_OPEN = """([thumbnails, name]) => [...document.querySelectorAll(thumbnails)].find(
  one => one.innerText.includes(name)).dispatchEvent(new MouseEvent('dblclick', { bubbles: true }))"""
_SERIES_SHOWN = """actors => (window.cornerstone?.getRenderingEngines() ?? []).some(
  engine => engine.getViewports().some(one => one.getActors().length >= actors))"""
_IMAGES = """() => Math.max(...window.cornerstone.getRenderingEngines().flatMap(
  engine => engine.getViewports().map(one => one.getNumberOfSlices())))"""
_SKIP_TOUR = """() => [...document.querySelectorAll('button')].filter(
  one => ['Skip all', 'No'].includes(one.innerText.trim())).forEach(one => one.click())"""
"""The tour, and the question whether to open what is shown already: it keeps the viewer from opening the next."""


@contextmanager
def archived(modality: str, folder: Path) -> Iterator[tuple[Any, str]]:
    """A browser, and the address of a phantom study in the viewer, with its results fetched from Orthanc."""
    dist, chromium, storescu = os.environ.get("RADIOLUCENT_OHIF"), shutil.which("chromium"), shutil.which("storescu")
    if not dist:
        pytest.skip("OHIF is optional: npm pack @ohif/app@3.13.2, unpack it, set RADIOLUCENT_OHIF to its dist folder")
    if not chromium or not storescu:
        pytest.skip("needs Chromium and DCMTK: run scripts/install-peers")
    browsers = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    try:
        orthanc = start_orthanc(folder)
    except PeerMissing:
        pytest.skip("needs Orthanc: run scripts/install-peers")
    try:
        with orthanc.inside():
            study = read_phantom(modality, folder)
            command = [storescu, "-R", "-aec", "ORTHANC", "127.0.0.1", str(orthanc.dicom_port)]
            subprocess.run([*command, *map(str, study.sources)], check=True, timeout=120)
            CStore(name="pacs", host="127.0.0.1", port=orthanc.dicom_port, called_ae="ORTHANC").deliver(study.package)
            archive = f"http://127.0.0.1:{orthanc.http_port}"
            with viewer(Path(dist), archive) as url, browsers.sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
                yield browser, f"{url}/viewer?StudyInstanceUIDs={study.reading.study_instance_uid}"
                browser.close()
    finally:
        orthanc.stop()


@contextmanager
def opened(browser: Any, address: str, errors: list[str]) -> Iterator[Any]:
    """A page of its own with the study open; what its console calls an error is added to `errors`."""
    page = browser.new_page(viewport={"width": 1000, "height": 640})
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address, wait_until="commit")
    page.wait_for_selector(THUMBNAILS)
    page.wait_for_function(_SERIES_SHOWN, arg=1)
    page.evaluate(_SKIP_TOUR)
    yield page
    page.close()


def coloured(page: Any, name: str) -> int:
    """Pixels of the viewport that aren't grey; the screenshot is kept where wanted."""
    data = page.screenshot()
    if folder := os.environ.get("RADIOLUCENT_SCREENSHOTS"):
        Path(folder, f"ohif-{name}.png").write_bytes(data)
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)[TOP:BOTTOM, LEFT:RIGHT]
    return int((pixels.max(axis=2) - pixels.min(axis=2) > 40).sum())


def shown_in_colour(browser: Any, address: str, series: str, name: str, *, above: int, errors: list[str]) -> int:
    """Open a series until something is in colour; gives how many pixels. A busy machine takes its time.

    A page for each try: in a viewport that has shown another result OHIF 3.13 draws no map, and where its texture was
    made before the map's values had come it stays empty for good.
    """
    count = 0
    for _ in range(TRIES):
        with opened(browser, address, errors) as page:
            page.evaluate(_OPEN, [THUMBNAILS, series])
            page.wait_for_function(_SERIES_SHOWN, arg=1 if series == "AI overlay" else 2)
            count = _looked_through(page, name, above)
        if count > above:
            break
    return count


def _looked_through(page: Any, name: str, above: int) -> int:
    """OHIF opens a series in its middle, where there may be no evidence: each look is one image further, then back."""
    images = int(page.evaluate(_IMAGES))
    count, looks = 0, 3 if images == 1 else 2 * images
    for look in range(looks):
        page.wait_for_timeout(LOOK_MS)
        page.evaluate(_SKIP_TOUR)  # it dims the page, and begins when it likes
        count = coloured(page, name)
        if count > above:
            break
        page.mouse.move((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2)
        page.mouse.wheel(0, 100 if look < looks // 3 else -100)
    return count


@pytest.mark.parametrize("modality", ["cr", "ct", "mr"])
def test_map_areas_and_capture_are_shown_on_the_original(modality: str, tmp_path: Path) -> None:
    errors: list[str] = []
    with archived(modality, tmp_path) as (browser, address):
        with opened(browser, address, errors) as page:
            listed = " ".join(one.inner_text() for one in page.query_selector_all(THUMBNAILS))
            grey = coloured(page, f"{modality}-original")
        shown = {
            name: shown_in_colour(
                browser,
                address,
                name,
                f"{modality}-{name.lower().replace(' ', '-')}",
                above=grey + COLOURED,
                errors=errors,
            )
            for name in ("AI overlay", "SEG", "PMAP")
        }
    sys.stdout.write(f"{modality}: {grey} coloured pixels before, then {shown}\n")
    for name in ("PMAP", "SEG", "SR", "PR", "KO", "AI overlay"):
        assert name in listed
    assert errors == []
    assert grey < COLOURED  # the labels of the viewport
    assert all(grey + COLOURED < count < VIEWPORT / 4 for count in shown.values()), shown
