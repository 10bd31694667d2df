"""The demo's reading room on a real socket, over phantoms that engines without a network have read; and a desk in it.

The engines were told the truth of the phantoms: what is tested is the way from a map to the pixels of a screen.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import uvicorn
from numpy.typing import NDArray
from PIL import Image

from radiolucent.engines.bundle import Bundle, Calibration, CalibrationEntry, OperatingPoint, OperatingPoints
from radiolucent.engines.manifest import FindingEntry, HeadSpec, InputSpec, Manifest, ScopeSpec
from radiolucent.engines.preprocess.brain_mri import brain_mri
from radiolucent.engines.preprocess.head_ct import head_ct
from radiolucent.engines.runtime import EngineOutput
from radiolucent.imaging.geometry import PixelRecord
from radiolucent.phantom.studies import PhantomStudy, make_study
from radiolucent.pipeline.output import write_readings
from radiolucent.pipeline.read_path import read_path
from radiolucent.store.people import People
from radiolucent.web.access import COOKIE
from radiolucent.web.demo import demo_app, listen
from tests.unit.conftest import BrightSpots

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NOISE = "GPU stall due to ReadPixels"
SLOW_MS = 120_000
SETTLE = """async () => {
  for (let turn = 0; turn < 3; turn += 1) await new Promise(requestAnimationFrame);
}"""
"""What was asked for in an animation frame is drawn and on screen after the third."""
MAPS = "[data-viewer-finding]"
"""Buttons that switch maps on and off."""
GRID, CELL_MM = 48, 3.8
Recipe = Callable[[NDArray[np.float32], tuple[float, float] | None, InputSpec], tuple[NDArray[np.float32], PixelRecord]]
BLEED = "intraparenchymal-haemorrhage"
SMALL: dict[str, Any] = {"slices": 16, "rows": 192}
NO_WEBGL = """const get = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest); };"""


class TruthTeller:
    """An engine that was told where the lesions of these phantoms are: evidence +6 in their cells, −4 elsewhere."""

    def __init__(self, name: str, finding: str, recipe: Recipe, spec: InputSpec, *studies: PhantomStudy) -> None:
        manifest = Manifest(
            name=name,
            version="1.0.0",
            title=name,
            summary="Evidence is the truth of a phantom.",
            findings=[FindingEntry(name=finding, basis="real", display_scale=4.0)],
            input=spec,
            head=HeadSpec(pooling="log-sum-exp", sharpness=2.0, grid=(GRID, GRID)),
            scope=ScopeSpec(
                modalities=[studies[0].datasets[0].Modality], body_parts=["head"], limits=["knows phantoms"]
            ),
            study_rule="largest-slice",
            licence="Apache-2.0",
        )
        self.bundle = Bundle(
            path=Path(name),
            manifest=manifest,
            sums={"graph.onnx": "1" * 64},
            calibration=Calibration(
                findings={finding: CalibrationEntry(slope=1.0, intercept=0.0, n=10, source="made up for a test")}
            ),
            operating_points=OperatingPoints(
                engine=manifest.label, rule="half", findings={finding: OperatingPoint(probability=0.5)}
            ),
        )
        self._frames, self._evidence = list[NDArray[np.float32]](), list[NDArray[np.float32]]()
        for study in studies:
            spacing = (float(study.datasets[0].PixelSpacing[0]), float(study.datasets[0].PixelSpacing[1]))
            batch, record = recipe(values(study), spacing, spec)
            truth = np.zeros((len(batch), spec.height, spec.width), dtype=np.float32)
            for lesion in study.lesions:
                truth += record.apply(lesion.mask.astype(np.float32))
            self._frames += list(_cells(batch[:, 0]))
            self._evidence += list(np.where(_cells(truth) > 0.3, 6.0, -4.0).astype(np.float32))

    def run(self, batch: NDArray[np.float32]) -> EngineOutput:
        """Of each frame, the evidence of the phantom's frame that it is most like."""
        known = np.stack(self._frames)
        likest = [int(np.abs(known - frame).mean(axis=(1, 2)).argmin()) for frame in _cells(batch[:, 0])]
        evidence = np.stack([self._evidence[index] for index in likest])[:, None]
        sharp = 2.0 * evidence.astype(np.float64).reshape(len(batch), 1, -1)
        logits = (np.log(np.exp(sharp).mean(axis=2)) / 2.0).astype(np.float32)
        return EngineOutput(logits=logits, evidence=evidence, milliseconds=1.0)


def values(study: PhantomStudy) -> NDArray[np.float32]:
    """Modality values of a phantom's frames, in the order of its truth."""
    every = [
        one.pixel_array * float(one.get("RescaleSlope", 1)) + float(one.get("RescaleIntercept", 0))
        for one in study.datasets
    ]
    return np.stack(every).astype(np.float32)


def _cells(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    size = frames.shape[1] // GRID
    return np.asarray(frames.reshape(len(frames), GRID, size, GRID, size).mean(axis=(2, 4)), dtype=np.float32)


class Server:
    """Four studies: a bleed with a prior, a tumour, one whose engine failed, one that no engine reads."""

    def __init__(self, folder: Path) -> None:
        self.bleed = make_study("head-ct", (BLEED,), seed=22, **SMALL)
        before = make_study("head-ct", seed=22, prior_of=self.bleed, change="smaller")
        self.glioma = make_study("brain-mr", ("glioma",), seed=11, **SMALL)
        ct = InputSpec(recipe="head-ct", height=192, width=192, spacing_mm=CELL_MM / 4)
        mr = InputSpec(recipe="brain-mri", height=192, width=192, spacing_mm=1.25)
        bleeds: Any = TruthTeller("tells-bleeds", BLEED, head_ct, ct, self.bleed, before)
        spots: Any = TruthTeller("tells-tumours", "glioma", brain_mri, mr, self.glioma)
        broken: Any = BrightSpots(broken=True)
        self.failed = make_study("brain-mr", ("meningioma",), seed=12, slices=8, rows=128)
        self.limb = make_study("bone-xr", seed=20, rows=256)
        self.add(folder / "bleed", self.bleed, [bleeds], prior=before)
        self.add(folder / "glioma", self.glioma, [spots])
        self.add(folder / "failed", self.failed, [broken])
        self.add(folder / "limb", self.limb, [spots])
        self.app = demo_app(folder, [bleeds, spots])
        self.store, self.folder = self.app.state.premises.store, folder
        sock = listen()
        self.address = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_level="error", ws="none"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [sock]}, daemon=True)
        self._thread.start()

    def add(self, folder: Path, study: PhantomStudy, engines: list[Any], prior: PhantomStudy | None = None) -> None:
        """Let these engines read a study; it is in the worklist once that is done."""
        now = datetime.now(UTC)
        study.save(folder / "study")
        if prior is not None:
            prior.save(folder / "prior")
            write_readings(read_path(folder / "prior", engines), folder / "prior-reading", made_at=now)
        read = read_path(folder / "study", engines, prior=folder / "prior" if prior else None)
        write_readings(read, folder / "reading", made_at=now)

    def session(self, name: str) -> str:
        """The cookie of a new session of an account."""
        with self.store.begin() as work:
            return People(work).open_session(name, now=datetime.now(UTC))

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)
        self.store.close()


class Served(Protocol):
    """What a desk sits down at."""

    address: str

    def session(self, name: str) -> str:
        """The cookie of a new session of an account."""


class Desk:
    """A browser window of one account. What its console complains of fails the test when the desk is closed."""

    def __init__(
        self,
        browser: Any,
        server: Served,
        name: str = "",
        *,
        without_webgl: bool = False,
        size: tuple[int, int] = (1500, 950),
    ) -> None:
        self.server, self.expected, self.errors = server, list[str](), list[str]()
        self._context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        if name:
            self._context.add_cookies([{"name": COOKIE, "value": server.session(name), "url": server.address}])
        self.tab = self._context.new_page()
        self.tab.set_default_timeout(SLOW_MS)
        if without_webgl:
            self.tab.add_init_script(NO_WEBGL)
        self.tab.on("console", self._said)
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))

    def _said(self, said: Any) -> None:
        if said.type in ("error", "warning") and NOISE not in said.text:
            self.errors.append(said.text)

    def go(self, path: str) -> int:
        """Open a page of the room; the status of its answer."""
        return int(self.tab.goto(self.server.address + path).status)

    def study(self, phantom: PhantomStudy) -> None:
        """Open a study, and wait until its first image is drawn."""
        self.go(f"/studies/{phantom.datasets[0].StudyInstanceUID}")
        self.ready()

    def ready(self) -> None:
        """Wait until the first image is drawn."""
        self.tab.wait_for_selector(".viewer-pane[data-ready=true]")

    def looked(self) -> None:
        """Say that the images were looked at, where that is asked."""
        button = self.tab.get_by_role("button", name="I have looked at the images")
        if button.count():
            button.click()
            self.ready()

    def press(self, *keys: str, until: Callable[[], bool] | None = None) -> None:
        """Press keys on the current pane, each until something was drawn."""
        for key in keys:
            before = self.drawn()
            self.tab.keyboard.press(key)
            self.wait(until or partial(self._has_changed, before))

    def toggle(self, *, on: bool) -> None:
        """Switch the map of the first finding by its key, and wait until that was drawn."""
        self.tab.locator(".viewer-pane").first.focus()
        before = self.drawn()
        self.tab.keyboard.press("Shift+Digit1")
        self.tab.wait_for_selector(f"[data-viewer-finding][aria-pressed={str(on).lower()}]")
        self.wait(partial(self._has_changed, before))
        self.tab.evaluate(SETTLE)

    def _has_changed(self, before: list[str]) -> bool:
        return self.drawn() != before

    def wait(self, until: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for something that is asked of the page."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if until():
                return
            self.tab.wait_for_timeout(100)
        raise AssertionError(f"waited {seconds} s in vain")

    def drawn(self) -> list[str]:
        """How often each pane was drawn."""
        return [one.get_attribute("data-drawn") for one in self.tab.locator(".viewer-pane").all()]

    def frame(self, pane: int = 0) -> int:
        """Index of the frame on a pane."""
        return int(self.tab.locator(".viewer-pane").nth(pane).get_attribute("data-frame"))

    def pixels(self, pane: int = 0) -> NDArray[np.float64]:
        """What a pane shows: ``(height, width, 3)``, without what is written over it."""
        stage = self.tab.locator(".viewer-pane").nth(pane).locator(".viewer-stage")
        return np.asarray(Image.open(io.BytesIO(stage.screenshot())).convert("RGB"), dtype=np.float64)

    def coloured(self, shape: tuple[int, int], pane: int = 0) -> NDArray[np.float64]:
        """(row, column) in pixels of an image of `shape`, fitted to the pane, of everything in it that isn't grey."""
        picture = self.pixels(pane)
        height, width = picture.shape[:2]
        scale = min(width / shape[1], height / shape[0])
        places = np.argwhere(np.ptp(picture, axis=2) > 40).astype(np.float64)
        middle = np.array([height / 2, width / 2])
        found = (places + 0.5 - middle) / scale + (np.array(shape) - 1) / 2
        inside = ((found > 0) & (found < np.array(shape) - 1)).all(axis=1)
        return np.asarray(found[inside])

    def shot(self, name: str) -> None:
        """Keep a picture of the page where ``RADIOLUCENT_SCREENSHOTS`` names a folder."""
        folder = os.environ.get("RADIOLUCENT_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.tab.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)

    def close(self) -> None:
        """Leave; fail where the console complained of anything that wasn't expected."""
        self._context.close()
        left = [text for text in self.errors if not any(words in text for words in self.expected)]
        assert left == []


def chromium() -> str | None:
    """Where the browser is."""
    return shutil.which("chromium")


def colours_of(me: Desk, selector: str) -> list[tuple[int, int, int]]:
    """Colours of text, ground and border of what is seen of a selector."""
    found = me.tab.evaluate(
        """selector => [...document.querySelectorAll(selector)].filter(one => one.offsetParent).flatMap(one => {
             const style = getComputedStyle(one);
             return [style.color, style.backgroundColor, style.borderTopColor]; })""",
        selector,
    )
    numbers = [[float(n) for n in re.findall(r"[\d.]+", one)] for one in found]
    return [(int(n[0]), int(n[1]), int(n[2])) for n in numbers if len(n) == 3 or n[3] > 0]


def changed(me: Desk, change: Callable[[Any], None]) -> None:
    """Let the study's page reach the browser with a change in what the viewer is told."""

    def pass_on(route: Any) -> None:
        answer = route.fetch()
        before, start, rest = answer.text().partition("data-viewer-study>")
        told, end, after = rest.partition("</script>")
        view = json.loads(told)
        change(view)
        route.fulfill(response=answer, body=before + start + json.dumps(view).replace("<", "\\u003c") + end + after)

    me.tab.route(lambda url: bool(re.search(r"/studies/[\d.]+$", url)), pass_on)


def shape(room: Server) -> tuple[int, int]:
    return room.bleed.datasets[0].Rows, room.bleed.datasets[0].Columns


def uid_of(study: PhantomStudy) -> str:
    return str(study.datasets[0].StudyInstanceUID)


def words_on(me: Desk, pane: int = 0) -> str:
    """What is written over an image."""
    return str(me.tab.locator(".viewer-pane").nth(pane).inner_text())
