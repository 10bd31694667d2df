"""A page with nothing but the viewer on it, served on loopback: two dates of one made-up series with one map each."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.findings.reading import Finding, SeriesReading
from radiolucent.imaging.geometry import ImagePlane, PixelRecord, Resize
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame, Stack
from radiolucent.web.viewer_data import finding_view, frame_bytes, heat_bytes, packing, series_meta, study_view
from tests.unit.findings.conftest import make_finding, make_localisation, make_series

ROWS, COLUMNS, SLICES, GRID = 96, 128, 12, (12, 16)
PLACE = (40.0, 90.0)
"""Where the evidence of the finding lies, (row, column) in pixels; on slice `PEAK`."""
PEAK = 7
RECORD = PixelRecord(source_shape=(ROWS, COLUMNS), steps=(Resize(height=ROWS, width=COLUMNS),))
STATIC = files("radiolucent.web").joinpath("static", "viewer")


def a_stack(key: str, *, start_mm: float) -> Stack:
    """A grey wedge, slices 5 mm apart from `start_mm` on."""
    wedge = np.tile(np.linspace(-1000, 1000, COLUMNS, dtype=np.float32).round(), (ROWS, 1))
    frames = tuple(
        Frame(
            sop_class_uid="1.2",
            sop_instance_uid=f"{key}.{index}",
            spacing_mm=(1.0, 1.0),
            plane=ImagePlane(
                position_mm=(0.0, 0.0, start_mm + 5.0 * index),
                row_cosines=(1.0, 0.0, 0.0),
                column_cosines=(0.0, 1.0, 0.0),
                spacing_mm=(1.0, 1.0),
            ),
        )
        for index in range(SLICES)
    )
    header = Dataset()
    header.SeriesDescription = "wedge"
    return Stack(
        study_instance_uid="1",
        series_instance_uid=key,
        modality="CT",
        kind="volume",
        frames=frames,
        headers=(header,) * SLICES,
        decode=lambda index: wedge,
        slice_spacing_mm=5.0,
    )


def a_finding() -> Finding:
    """One cell of evidence beyond the scale at `PLACE` on slice `PEAK`, nothing else."""
    evidence: NDArray[np.float32] = np.zeros((SLICES, *GRID), dtype=np.float32)
    evidence[PEAK, int(PLACE[0] // 8), int(PLACE[1] // 8)] = 6.0
    return make_finding(
        "intraparenchymal-haemorrhage",
        heatmap=Heatmap(evidence=evidence, record=RECORD, display_scale=4.0),
        localisation=make_localisation(peak_frame=PEAK),
        frame_logits=tuple(3.0 if index == PEAK else -3.0 for index in range(SLICES)),
    )


def a_series(stack: Stack, *findings: Finding) -> SeriesReading:
    return make_series(
        *findings,
        series_instance_uid=stack.series_instance_uid,
        modality="CT",
        frames=stack.frames,
        shape=(ROWS, COLUMNS),
    )


@dataclass(kw_only=True)
class Page:
    """The address, and the views that the page told of."""

    address: str = ""
    views: list[dict[str, Any]] = field(default_factory=list)
    withheld: bool = False


@contextmanager
def served(*, with_prior: bool = True, registered: bool = False) -> Iterator[Page]:
    """Serve the page until the block ends.

    With `registered` the prior lies 5 mm lower than its coordinates say, its change is offered, and a reader has drawn
    an outline on the peak slice.
    """
    current, prior = a_stack("1.1", start_mm=0.0), a_stack("1.2", start_mm=-10.0)
    finding = a_finding()
    faint = replace(finding, positive=False, localisation=None)
    stacks = {"1.1": current, "1.2": prior}
    packed = {key: packing(stack) for key, stack in stacks.items()}

    def pane(role: str, stack: Stack, one: Finding) -> dict[str, Any]:
        meta = series_meta(stack, packed[stack.key], frames_url=f"/frames/{stack.key}/")
        change_url = "/change" if registered and role == "current" else None
        views = [finding_view(one, a_series(stack, one), heat_url=f"/heat/{stack.key}", change_url=change_url)]
        return {"role": role, "caption": f"SYN-1 {role}", "series": [meta], "findings": views}

    panes = [pane("current", current, finding), *([pane("prior", prior, faint)] if with_prior else [])]
    up = [1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 5, 0, 0, 0, 1]
    pair = {"current": "1.1", "prior": "1.2", "matrix": up, "note": "registered: moved 5 mm"}
    study = {
        **study_view(panes, alignments=[pair] if registered else [], same_space=not registered),
        "views_url": "/views",
        "csrf": "token",
    }
    if registered:
        outline = [[10, 10], [10, 30], [30, 30], [30, 10]]
        study["regions"] = [{"series": "1.1", "frame": PEAK, "points": outline, "label": "redrawn by a reader"}]
    told = Page()
    identity = quote(str(study["panes"][0]["findings"][0]["id"]), safe="")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            return None

        def answer(self, data: bytes, kind: str, headers: dict[str, str] | None = None, status: int = 200) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'")
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            path = unquote(self.path.split("?")[0])
            if path == "/":
                text = json.dumps(study).replace("<", "\\u003c")
                self.answer(_html(text, unquote(identity)).encode(), "text/html; charset=utf-8")
            elif path.startswith("/static/"):
                kind = "text/css" if path.endswith(".css") else "text/javascript"
                self.answer(STATIC.joinpath(path.removeprefix("/static/")).read_bytes(), kind)
            elif path.startswith("/frames/"):
                key, index = path.removeprefix("/frames/").rsplit("/", 1)
                self.answer(frame_bytes(stacks[key], int(index), packed[key]), "application/octet-stream")
            elif path.startswith("/heat/") and told.withheld:
                refusal = json.dumps({"code": "training_required", "message": "training"}).encode()
                self.answer(refusal, "application/json", status=403)
            elif path.startswith("/heat/"):
                data, headers = heat_bytes(finding if path.endswith("1.1") else faint)
                self.answer(data, "application/octet-stream", headers)
            elif path == "/change":
                self.answer(*_change())
            else:
                self.answer(b"", "image/png")

        def do_POST(self) -> None:
            told.views.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(b"", "text/plain", status=200)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.address = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _change() -> tuple[bytes, str, dict[str, str]]:
    """More evidence at `PLACE` on slice `PEAK`, less two cells to its left: bytes about 127, which is nothing."""
    values = np.full((SLICES, *GRID), 127, dtype=np.uint8)
    row, column = int(PLACE[0] // 8), int(PLACE[1] // 8)
    values[PEAK, row, column], values[PEAK, row, column - 4] = 254, 0
    shape = ",".join(str(size) for size in values.shape)
    headers = {"X-Shape": shape, "X-Vmin": "-4.0", "X-Vmax": repr(4 * 128 / 127), "X-Scale": "absolute"}
    return values.tobytes(), "application/octet-stream", headers


def _html(study: str, finding: str) -> str:
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>viewer</title>
<link rel="stylesheet" href="/static/viewer.css"><link rel="icon" href="/icon.png">
<button type="button" data-viewer-finding="{finding}">finding</button>
<div data-viewer><script type="application/json" data-viewer-study>{study}</script></div>
<dialog data-viewer-help><dl></dl></dialog><input data-viewer-region aria-label="region">
<script type="module" src="/static/viewer.js"></script></html>"""
