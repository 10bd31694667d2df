"""Every page: no fault that axe-core knows (WCAG 2.2 AA), nothing wider than the window, a silent console, a picture.

``RADIOLUCENT_SCREENSHOTS=FOLDER`` keeps the pictures, to be looked at.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from radiolucent.pipeline.practice import STEP
from radiolucent.store.site import Site
from radiolucent.web.access import BASE
from tests.e2e.reading_room import Desk, Server

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
WIDTHS = (1280, 1920)
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
RUN = """async (tags) => {
  const found = await axe.run(document, { runOnly: tags, rules: { 'target-size': { enabled: true } },
                                          resultTypes: ['violations'] });
  return found.violations.map((one) => `${one.id}: ${one.help}: ` + one.nodes.map((node) => node.html).join(' | '));
}"""
WIDE = """() => [...document.querySelectorAll('main *')]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.scroll') && one.offsetParent)
  .map((one) => one.outerHTML.slice(0, 120))"""

PICTURES = "[...document.images].every((one) => one.complete || one.loading === 'lazy')"

PAGES: dict[str, tuple[str, str]] = {
    "login": ("", "/login"),
    "worklist": ("radiologist", "/worklist"),
    "study": ("radiologist", "/studies/{bleed}"),
    "study-failed": ("radiologist", "/studies/{failed}"),
    "study-not-read": ("radiologist", "/studies/{limb}"),
    "study-untrained": ("resident", "/studies/{bleed}"),
    "upload": ("radiologist", "/upload"),
    "training": ("resident", "/training"),
    "module": ("resident", "/training/modules/what-a-heatmap-is-not"),
    "gallery": ("resident", "/training/modules/failures"),
    "quiz": ("resident", "/training/modules/quiz"),
    "practice": ("resident", "/training/practice"),
    "case": ("resident", "/training/practice/9"),
    "case-told": ("resident", "/training/practice/10"),
    "case-done": ("resident", "/training/practice/13"),
    "monitoring": ("lead", "/monitoring"),
    "rollout": ("lead", "/rollout"),
    "audit": ("auditor", "/audit"),
    "admin": ("admin", "/admin"),
    "engines": ("admin", "/admin/engines"),
    "thresholds": ("admin", "/admin/thresholds"),
    "nodes": ("admin", "/admin/nodes"),
    "queues": ("admin", "/admin/queues"),
    "archive": ("admin", "/admin/archive"),
    "trust-rules": ("lead", "/trust-rules"),
    "alerts": ("radiologist", "/alerts"),
    "account": ("viewer", "/account"),
    "refused": ("viewer", "/audit"),
}
"""Name → whose page, and its address; every page that can be opened by its address alone."""


def address(room: Server, path: str) -> str:
    every = {"bleed": room.bleed, "failed": room.failed, "limb": room.limb}
    return path.format(**{name: study.datasets[0].StudyInstanceUID for name, study in every.items()})


def opened(desk: Callable[..., Desk], room: Server, name: str, **options: Any) -> Desk:
    role, path = PAGES[name]
    me = desk(role, **options)
    me.expected = ["403"] if name == "refused" else []
    assert me.go(address(room, path)) == (403 if name == "refused" else 200)
    if "/studies/" in path:
        me.ready()
        me.looked()
    return me


@pytest.fixture(scope="module", autouse=True)
def half_way(room: Server) -> None:
    """Two practice cases of the resident: one where the AI is to be judged, one that is done."""
    with room.store.begin() as work:
        site = Site(work)
        said = {"finding": "epidural-haemorrhage", "mark": [0.5, 0.4]}
        site.step("resident", BASE, f"{STEP}10", said)
        score = {"finding": True, "place": False, "verdict": True}
        site.step("resident", BASE, f"{STEP}13", said | {"verdict": "wrong-place", "score": score})


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_window_and_axe_finds_nothing(desk: Callable[..., Desk], room: Server, name: str) -> None:
    me = opened(desk, room, name)
    assert me.tab.locator("h1").count() == 1
    for width in WIDTHS:
        me.tab.set_viewport_size({"width": width, "height": 900})
        me.wait(lambda: bool(me.tab.evaluate(PICTURES)))
        me.shot(f"{name}-{width}")
        assert me.tab.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert me.tab.evaluate(WIDE) == []
    for details in me.tab.locator("details:not([open]) > summary").all():
        if details.is_visible():
            details.click()
    if not AXE.is_file():
        why = (
            "needs axe-core: make axe" if shutil.which("npm") else "axe-core comes from npm, which isn't here: make axe"
        )
        pytest.skip(why)
    me.tab.evaluate(AXE.read_text(encoding="utf-8"))
    assert me.tab.evaluate(RUN, TAGS) == []
