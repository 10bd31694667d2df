"""``make bench-web``: the reading room in a browser: first image, frames a second, what is shipped, upload to reading.

Everything is synthetic, on this machine alone, with the installed engines; the browser draws without a GPU. With
``--markdown docs/benchmarks.md`` the section is written between its marks.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from pydicom.uid import generate_uid

from bench.__main__ import machine_facts
from bench.sections import Section
from radiolucent.engines.runtime import load_engine
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.demo import CASES, run_demo
from radiolucent.pipeline.read_path import choose_bundles
from radiolucent.store.people import People
from radiolucent.web.access import COOKIE
from radiolucent.web.demo import demo_app, listen

START, END = "<!-- bench-web -->", "<!-- /bench-web -->"
GOAL_KB, GOAL_UPLOAD_S = 60, 3.0
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
SCROLL = """async (seconds) => {
  const pane = document.querySelectorAll('.viewer-pane')[0];
  const count = () => [...document.querySelectorAll('.viewer-pane')].map((one) => Number(one.dataset.drawn));
  const keys = ['ArrowDown', 'ArrowUp'];
  pane.focus();
  const before = count();
  const began = performance.now();
  let turn = 0;
  while (performance.now() - began < seconds * 1000) {
    const drawn = count()[0];
    pane.dispatchEvent(new KeyboardEvent('keydown', { code: keys[Math.floor(turn / 12) % 2], bubbles: true }));
    turn += 1;
    for (let wait = 0; wait < 60 && count()[0] === drawn; wait += 1) await new Promise(requestAnimationFrame);
  }
  const spent = (performance.now() - began) / 1000;
  return count().map((drawn, index) => (drawn - before[index]) / spent);
}"""


def main() -> int:
    """Measure, print, and write the section if asked; 1 where there is no browser or a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.web", description=__doc__)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the section into this page")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5.0, help="of scrolling, each round")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("needs chromium: run scripts/install-peers", file=sys.stderr)
        return 1
    load = os.getloadavg()[0]
    done = [shipped()]
    with reading_room() as (address, cookie), browser(chromium) as started:
        done += [
            in_the_browser(started, address, cookie, rounds=arguments.rounds, seconds=arguments.seconds),
            upload(started, address, cookie, rounds=arguments.rounds),
        ]
    text = page(done, machine_facts(load) | {"browser": version_of(chromium)})
    print(text)
    if arguments.markdown:
        write(arguments.markdown, text)
    return 0 if all(one.data.get("met", True) for one in done) else 1


def shipped() -> Section:
    """Bytes of the page of one study: our own scripts, styles, and the one vendored script."""
    static = files("radiolucent.web").joinpath("static")
    own = [path for path in Path(str(static)).rglob("*.js") if "vendor" not in path.parts]
    vendored = [path for path in Path(str(static)).rglob("*.js") if "vendor" in path.parts]
    styles = list(Path(str(static)).rglob("*.css"))
    sums = {
        name: (len(paths), sum(path.stat().st_size for path in paths), sum(map(gzipped, paths)))
        for name, paths in (("our scripts", own), ("htmx", vendored), ("our styles", styles))
    }
    kilobytes = sums["our scripts"][2] / 1000
    met = kilobytes < GOAL_KB
    return Section(
        title="What is shipped to a browser",
        words=f"gzip -9, each file by itself. Goal for our scripts under {GOAL_KB} KB: "
        f"{'met' if met else 'MISSED'} ({kilobytes:.1f}).",
        header=("what", "files", "KB", "KB gzip"),
        rows=tuple((k, str(n), f"{size / 1000:.1f}", f"{small / 1000:.1f}") for k, (n, size, small) in sums.items()),
        data={"met": met, "sums": sums},
    )


def gzipped(path: Path) -> int:
    """Size of a file as it is sent, compressed."""
    return len(gzip.compress(path.read_bytes(), 9))


def in_the_browser(started: Any, address: str, cookie: str, *, rounds: int, seconds: float) -> Section:
    """First image from the click on, and images a second while both linked panes scroll through a CT."""
    study = make_study("head-ct", CASES[4].findings, seed=CASES[4].seed).datasets[0]
    first: list[float] = []
    speeds: list[list[float]] = []
    for index in range(rounds + 1):  # the first warms the server up and isn't counted
        with tab(started, address, cookie) as one:
            began = time.perf_counter()
            one.goto(f"{address}/studies/{study.StudyInstanceUID}")
            one.wait_for_selector(".viewer-pane[data-ready=true]")
            spent = time.perf_counter() - began
            one.wait_for_load_state("networkidle")
            drawn = one.evaluate(SCROLL, seconds)
            if index:
                first.append(spent)
                speeds.append(drawn)
    size = f"{study.Rows} × {study.Columns}"
    return Section(
        title="A CT with its prior in a browser",
        words=f"Head CT, {size}, 32 slices, current and prior side by side, linked; a new browser context each round. "
        "Images a second are counted by the pane that draws them, after all frames have come.",
        header=("what", "median (quartiles)", "rounds"),
        rows=(
            ("from the address to the first image drawn", f"{spread(first)} s", str(rounds)),
            ("images a second, current", spread([one[0] for one in speeds]), str(rounds)),
            ("images a second, prior, linked", spread([one[1] for one in speeds]), str(rounds)),
        ),
        data={"first_image_s": first, "images_a_second": speeds},
    )


def upload(started: Any, address: str, cookie: str, *, rounds: int) -> Section:
    """From the press of the button to the study's page with its first image, and on to its heatmap."""
    image, heatmap, work = list[float](), list[float](), list[float]()
    for index in range(rounds + 1):
        with tab(started, address, cookie) as one:
            one.goto(f"{address}/upload")
            one.set_input_files(
                "input[type=file]", {"name": "one.dcm", "mimeType": "application/dicom", "buffer": a_radiograph()}
            )
            began, worked = time.perf_counter(), time.process_time()
            one.click("button.main")
            one.wait_for_selector(".viewer-pane[data-ready=true]")
            first, worked = time.perf_counter() - began, time.process_time() - worked
            looked = one.get_by_role("button", name="I have looked at the images")
            if looked.count():
                looked.click()
                one.wait_for_selector(".viewer-pane[data-ready=true]")
            one.locator(".viewer-pane").first.focus()
            one.keyboard.press("Shift+Digit1")
            one.wait_for_selector("[data-viewer-finding][aria-pressed=true]")
            one.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            if index:
                image.append(first)
                work.append(worked)
                heatmap.append(time.perf_counter() - began)
    met = statistics.median(image) < GOAL_UPLOAD_S
    return Section(
        title="Upload to reading",
        words=f"A chest radiograph of 1024 × 1024, uploaded in the browser, read by the installed engines on CPU, "
        f"until its page shows the image; results are encoded and written in between. Goal under {GOAL_UPLOAD_S:g} s: "
        f"{'met' if met else 'MISSED'} ({statistics.median(image):.1f} s). The heatmap is never on at opening: after "
        "the image come the press that the images were looked at, the page anew, and the key of the first finding.",
        header=("what", "median (quartiles)", "rounds"),
        rows=(
            ("from the button to the study's page with its image", f"{spread(image)} s", str(rounds)),
            ("from the button to the heatmap on it", f"{spread(heatmap)} s", str(rounds)),
            ("CPU seconds of the server until the image", f"{spread(work)} s", str(rounds)),
        ),
        data={"met": met, "seconds": image, "heatmap_seconds": heatmap, "cpu_seconds": work},
    )


def a_radiograph() -> bytes:
    """The demo's radiograph with its effusion, each time as a study of its own."""
    case = next(case for case in CASES if case.name == "effusion")
    made = make_study(case.kind, case.findings, seed=case.seed).datasets[0]
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = (generate_uid() for _ in range(3))
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    data = io.BytesIO()
    made.save_as(data, enforce_file_format=True)
    return data.getvalue()


def spread(values: Sequence[float]) -> str:
    """Median and quartiles."""
    if len(values) < 2:
        return f"{values[0]:.2f}"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def page(done: Sequence[Section], machine: dict[str, str]) -> str:
    """The part of the page that is this measurement's."""
    lines = [
        "## The reading room in a browser",
        "",
        "Made by `make bench-web ARGS='--markdown docs/benchmarks.md'` in one run: server and browser on one",
        "machine, drawn without a GPU.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
    ]
    for section in done:
        lines += ["", *(line.replace("## ", "### ", 1) for line in section.lines())]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Put the section between its marks, or at the end of the page."""
    block = f"{START}\n{text}\n{END}\n"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if START in before:
        after = re.sub(f"{re.escape(START)}.*?{re.escape(END)}\n?", lambda _: block, before, flags=re.DOTALL)
    else:
        after = f"{before.rstrip()}\n\n{block}"
    path.write_text(after, encoding="utf-8")


@contextmanager
def reading_room() -> Iterator[tuple[str, str]]:
    """The demo's server over one CT with a prior; its address, and the session of a radiologist."""
    engines = [load_engine(bundle) for bundle in choose_bundles([])]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "demo"
        bleed = next(case for case in CASES if case.name == "bleed")
        run_demo(root, engines, made_at=datetime.now(UTC), cases=[with_prior(bleed)])
        app = demo_app(root, engines)
        store = app.state.premises.store
        with store.begin() as work:
            cookie = People(work).open_session("radiologist", now=datetime.now(UTC))
        sock = listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}", cookie
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            store.close()


def with_prior(case: Any) -> Any:
    """The same case with an earlier study of the same patient."""
    return replace(case, change="smaller")


@contextmanager
def browser(path: str) -> Iterator[Any]:
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def tab(started: Any, address: str, cookie: str) -> Iterator[Any]:
    """A page without any cache."""
    context = started.new_context(viewport={"width": 1500, "height": 950})
    context.add_cookies([{"name": COOKIE, "value": cookie, "url": address}])
    one = context.new_page()
    one.set_default_timeout(180_000)
    try:
        yield one
    finally:
        context.close()


def version_of(chromium: str) -> str:
    """Name and version of the browser."""
    told = subprocess.run([chromium, "--version"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
