"""Explanations on request: made once, followed, stopped, under the rules of heatmaps, and made again bit for bit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radiolucent.audit.reading_events import ExplanationSent
from radiolucent.engines.registry import installed_bundles, newest
from radiolucent.errors import SetupError
from radiolucent.findings.reading import EngineRef
from radiolucent.pipeline.explain import explain
from radiolucent.pipeline.read_study import engine_ref
from radiolucent.results.reading_json import evidence_digest
from radiolucent.store.audit import AuditTrail
from radiolucent.web.explanation_desk import Busy, Desk, Job, Wish, loading, offers, running
from radiolucent.web.server import create_app


class Held:
    """The engine, but each batch waits until the test lets it go."""

    def __init__(self, engine: Any) -> None:
        self.bundle, self._engine, self.gate = engine.bundle, engine, threading.Event()
        self.gate.set()

    def run(self, batch: Any) -> Any:
        assert self.gate.wait(60)
        return self._engine.run(batch)


@pytest.fixture
def held(bright_spots: Callable[..., Any]) -> Held:
    return Held(bright_spots())


@pytest.fixture
def asking(room: Any, held: Held, tmp_path: Path) -> Iterator[Any]:
    """The room with a desk."""
    engine: Any = held
    desk = Desk(running([engine]), tmp_path / "explanations")
    room.premises = replace(room.premises, desk=desk)
    room.app = create_app(room.premises)
    yield room
    held.gate.set()
    desk.close()


def _wish(room: Any, study: str, **changes: Any) -> dict[str, Any]:
    [read] = room.premises.source.summary(study).reading.series
    return {"series": read.key, "finding": "glioma", "method": "rise", "frame": _peak(room, study)} | changes


def _peak(room: Any, study: str) -> int:
    [read] = room.premises.source.summary(study).reading.series
    return int(next(one for one in read.findings if one.name == "glioma").localisation.peak_frame)


def _ask(room: Any, study: str, name: str = "radiologist", **changes: Any) -> Any:
    browser = room.browser(name)
    headers = {"X-CSRF-Token": browser.csrf, "Accept": "application/json"}
    address = f"/api/v1/results/{study}:1/explanations"
    return browser, browser.client.post(address, json=_wish(room, study, **changes), headers=headers)


def _until(browser: Any, study: str, job: str, state: str) -> Any:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        told = browser.get(f"/api/v1/results/{study}:1/explanations/{job}").json()
        if told["state"] == state:
            return told
        assert told["state"] in ("waiting", "running"), told
        time.sleep(0.02)
    raise AssertionError(f"never {state}")


def test_a_map_by_another_method_comes_with_its_legend_and_its_agreement(asking: Any, study: str) -> None:
    browser, answer = _ask(asking, study)
    assert answer.status_code == 202
    told = _until(browser, study, answer.json()["job"], "done")
    view = told["view"]
    assert (told["title"], view["only_frame"], view["unit"]) == ("RISE", _peak(asking, study), "logit")
    rank = told["agreement"]["rank_correlation"]
    # none where one of the two maps has nothing that speaks for the finding but a single level
    assert rank is None or -1 <= rank <= 1
    assert 0 <= told["agreement"]["overlap"] <= 1
    assert told["seconds_left"] is None
    answer = browser.get(told["view"]["heat_url"])
    assert answer.headers["X-Scale"] == "absolute"
    assert len(answer.content) == np.prod([int(size) for size in answer.headers["X-Shape"].split(",")])
    [made] = browser.get(f"/api/v1/results/{study}:1/explanations").json()["explanations"]
    assert made["job"] == told["job"]


def test_what_was_sent_can_be_made_again_bit_for_bit(asking: Any, study: str, held: Held, tmp_path: Path) -> None:
    browser, answer = _ask(asking, study)
    told = _until(browser, study, answer.json()["job"], "done")
    browser.get(told["view"]["heat_url"])
    [sent] = asking.events("explanation.sent")
    assert isinstance(sent, ExplanationSent)
    stack = asking.premises.source.open(study).study.stacks[0]
    engine: Any = held
    again = explain(engine, stack, sent.finding, sent.method, seed=sent.seed, frame=sent.frame)
    assert evidence_digest(again.values[None]) == sent.sha256
    assert (sent.actor, sent.display_scale) == ("radiologist", again.display_scale)
    with asking.store.read() as work:
        number = AuditTrail(work).head().number
    first = asking.browser("auditor").get(f"/audit/{number}/picture.png")
    for kept in (tmp_path / "explanations").iterdir():
        kept.unlink()
    anew = asking.browser("auditor").get(f"/audit/{number}/picture.png")
    assert first.content == anew.content
    assert first.headers["X-Map-SHA256"] == sent.sha256


def test_the_same_wish_comes_from_the_cache(asking: Any, study: str) -> None:
    for kept in (False, True):
        browser, answer = _ask(asking, study)
        assert _until(browser, study, answer.json()["job"], "done")["from_cache"] is kept


def test_each_reader_has_one_on_its_way_and_can_stop_it(asking: Any, study: str, held: Held) -> None:
    held.gate.clear()
    browser, first = _ask(asking, study)
    job = first.json()["job"]
    _, second = _ask(asking, study, method="occlusion")
    assert (second.status_code, second.json()["code"]) == (409, "busy")
    _, other = _ask(asking, study, "lead")
    assert other.json()["state"] == "waiting"
    headers = {"X-CSRF-Token": browser.csrf}
    address = f"/api/v1/results/{study}:1/explanations/{job}/stop"
    assert browser.client.post(address, headers=headers).status_code == 202
    held.gate.set()
    _until(browser, study, job, "stopped")
    assert browser.get(f"/api/v1/results/{study}:1/explanations/{job}/map").status_code == 404
    assert [one.state for one in asking.events("explanation.asked")] == ["stopped", "asked", "asked"]


def test_nobody_follows_anothers(asking: Any, study: str) -> None:
    _, answer = _ask(asking, study)
    job = answer.json()["job"]
    assert asking.browser("lead").get(f"/api/v1/results/{study}:1/explanations/{job}").status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"finding": "meningioma"}, 404),
        ({"finding": "no-such"}, 404),
        ({"frame": 9999}, 404),
        ({"method": "grad-cam"}, 409),
        ({"method": "no-such"}, 409),
        ({"series": "1.2"}, 404),
    ],
)
def test_what_cannot_be_explained_is_refused(asking: Any, study: str, changes: dict[str, Any], status: int) -> None:
    assert _ask(asking, study, **changes)[1].status_code == status


def test_the_rules_of_heatmaps_hold(asking: Any, study: str) -> None:
    answer = _ask(asking, study, "resident")[1]
    assert (answer.status_code, answer.json()["code"]) == (403, "training_required")
    browser, answer = _ask(asking, study)
    address = _until(browser, study, answer.json()["job"], "done")["view"]["heat_url"]
    asking.phase("text-and-urgency")
    assert _ask(asking, study)[1].status_code == 404
    assert browser.get(address).status_code == 404


def test_a_wish_without_the_token_is_refused(asking: Any, study: str) -> None:
    browser = asking.browser("radiologist")
    answer = browser.client.post(f"/api/v1/results/{study}:1/explanations", json=_wish(asking, study))
    assert answer.status_code == 403


def test_without_a_desk_nothing_is_offered(room: Any, study: str) -> None:
    assert _ask(room, study)[1].status_code == 404
    assert "Other explanation methods" not in room.browser("radiologist").get(f"/studies/{study}").text


def test_every_method_says_what_it_is(room: Any) -> None:
    told = room.browser("radiologist").get("/api/v1/explanations/methods").json()["methods"]
    assert "grad-cam" not in {one["key"] for one in told}
    assert all(one["what"] and one["unit"] and one["source"] for one in told)
    assert len(told) == len(offers())


def test_the_time_left_comes_from_the_reading_first_and_then_from_the_passes_done() -> None:
    reference = EngineRef(name="e", version="1", digest="d")
    wish = Wish(
        reader="r", result_id="1:1", series="s", finding="f", method="rise", frame=0, engine=reference, pass_ms=10
    )
    job = Job(id="j", wish=wish, total=100)
    assert job.seconds_left(now=5.0) == pytest.approx(1.0)
    job.state, job.began, job.done = "running", 0.0, 25
    assert job.seconds_left(now=5.0) == pytest.approx(15.0)
    job.state = "done"
    assert job.seconds_left(now=5.0) is None


def test_an_engine_that_is_gone_is_said(room: Any, study: str, tmp_path: Path) -> None:
    desk = Desk(running([]), tmp_path / "explanations")
    stack = room.premises.source.open(study).study.stacks[0]
    reference = EngineRef(name="gone", version="1.0.0", digest="d")
    wish = Wish(
        reader="r", result_id="1:1", series=stack.key, finding="f", method="rise", frame=0, engine=reference, pass_ms=0
    )
    job = desk.ask(wish, stack)
    desk.close()
    assert (job.state, job.reason.startswith("gone@1.0.0 isn't installed")) == ("failed", True)


def test_a_second_wish_of_one_reader_is_refused_while_the_first_waits(
    room: Any, study: str, held: Held, tmp_path: Path
) -> None:
    engine: Any = held
    desk = Desk(running([engine]), tmp_path / "explanations")
    stack = room.premises.source.open(study).study.stacks[0]
    [read] = room.premises.source.summary(study).reading.series
    wish = Wish(
        reader="r",
        result_id="1:1",
        series=stack.key,
        finding="glioma",
        method="rise",
        frame=0,
        engine=read.engine,
        pass_ms=0,
    )
    held.gate.clear()
    desk.ask(wish, stack)
    with pytest.raises(Busy):
        desk.ask(wish, stack)
    with pytest.raises(SetupError, match="no method"):
        desk.ask(replace(wish, reader="s", method="nonsense"), stack)
    held.gate.set()
    desk.close()


def test_a_gateway_loads_an_engine_the_first_time_it_is_asked_for_and_keeps_it() -> None:
    bundle = newest(installed_bundles())[0]
    engine_of = loading([bundle])
    first = engine_of(engine_ref(bundle))
    assert first.bundle.digest == bundle.digest
    assert engine_of(engine_ref(bundle)) is first
    with pytest.raises(SetupError, match="isn't installed"):
        engine_of(EngineRef(name="gone", version="1.0.0", digest="d"))
