"""Every page: no fault that axe-core knows (WCAG 2.2 AA), nothing wider than the window, a silent console, a picture.

``RADIOLUCENT_SCREENSHOTS=FOLDER`` keeps the pictures, to be looked at.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from radiolucent.pipeline.practice import STEP
from radiolucent.store.room_tables import DecisionRow
from radiolucent.store.site import Site
from radiolucent.web.access import BASE
from radiolucent.web.monitoring import TABS
from tests.e2e.gateway_room import GatewayRoom, gateway_room
from tests.e2e.reading_room import BLEED, Desk, Server

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
    "trust-rules": ("lead", "/trust-rules"),
    "alerts": ("radiologist", "/alerts"),
    "account": ("viewer", "/account"),
    "refused": ("viewer", "/audit"),
}
"""Name → whose page, and its address; every page that can be opened by its address alone."""
OF_A_GATEWAY: dict[str, tuple[str, str]] = {
    "nodes": ("admin", "/admin/nodes"),
    "queues": ("admin", "/admin/queues"),
    "archive": ("admin", "/admin/archive"),
    "thresholds-gateway": ("admin", "/admin/thresholds"),
    "engines-gateway": ("admin", "/admin/engines"),
    "rollout-shadow": ("lead", "/rollout"),
    "worklist-gateway": ("radiologist", "/worklist"),
    **{f"monitoring-{tab}": ("lead", f"/monitoring/{tab}") for tab in TABS},
}
"""The same of a gateway with two months of history."""
ELSEWHERE = "1.2.9"
"""A study that isn't here: decisions on it make a reader's record and are taken away again."""


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


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayRoom]:
    with gateway_room(tmp_path_factory.mktemp("gateway")) as room:
        yield room


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
    _fits(opened(desk, room, name), name)


@pytest.mark.parametrize("name", OF_A_GATEWAY)
def test_a_page_of_a_gateway_fits_its_window_and_axe_finds_nothing(
    browser: Any, gateway: GatewayRoom, name: str
) -> None:
    role, path = OF_A_GATEWAY[name]
    me = Desk(browser, gateway, role)
    assert me.go(path) == 200
    _fits(me, name)
    me.close()


@pytest.mark.parametrize(("name", "trust", "times"), [("study-low-trust", 1, 6), ("study-high-trust", 5, 20)])
def test_a_study_page_that_adapts_fits_and_says_why(
    desk: Callable[..., Desk], room: Server, name: str, trust: int, times: int
) -> None:
    with room.store.begin() as work:
        for _ in range(times):
            work.session.add(_accepted(trust))
    try:
        me = desk("admin")
        me.study(room.bleed)
        me.looked()
        assert me.tab.get_by_text("Why do I see this?").count() == 1
        _fits(me, name)
    finally:
        with room.store.begin() as work:
            work.session.execute(delete(DecisionRow).where(DecisionRow.study_instance_uid == ELSEWHERE))


def _accepted(trust: int) -> DecisionRow:
    return DecisionRow(
        study_instance_uid=ELSEWHERE,
        series_key="1.2",
        finding=BLEED,
        engine="tells-bleeds@1.0.0",
        reading_digest="other",
        reader="admin",
        outcome="accept",
        trust=trust,
        at=datetime.now(UTC),
    )


def _fits(me: Desk, name: str) -> None:
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
    me.tab.evaluate("scrollTo(0, 0)")  # the masthead stays in sight, over what is scrolled below it
    me.tab.evaluate(AXE.read_text(encoding="utf-8"))
    assert me.tab.evaluate(RUN, TAGS) == []
