"""Every form and call that changes something: it is in the trail, in the same transaction, or it isn't done."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from radiolucent.rollout.phases import Criterion
from radiolucent.store.alerts import Alerts
from radiolucent.store.one_time_codes import STEP_S, code_at, new_secret
from radiolucent.store.people import People
from radiolucent.store.room import Decision
from radiolucent.store.room import Room as Rows
from radiolucent.web.adapting import is_urgent
from radiolucent.web.demo import PASSWORD
from radiolucent.web.doors import DOORS
from radiolucent.web.explanation_desk import OPEN, Desk, running
from radiolucent.web.server import create_app
from radiolucent.web.training import content

ALWAYS = """
version = "test"
days = 90
decisions = 30
[[rule]]
name = "always"
label = "Always"
effects = ["withhold"]
withhold_share = 0.2
says = "said"
why = "a test"
[rule.when]
acceptance_at_least = 0.9
"""
OF_A_GATEWAY = (
    "POST /admin/nodes/{name}/echo",
    "POST /admin/queues/deliveries",
    "POST /admin/queues/studies",
    "POST /admin/thresholds",
    "POST /admin/thresholds/own",
    "POST /studies/{uid}/amendments/undo",
    "POST /dicom-web/studies",
    "POST /dicom-web/studies/{study}",
)
"""Tried with a gateway behind them: tests/integration/test_every_change.py."""


@dataclass(kw_only=True)
class Try:
    """One change: whose, where, with what; `json` is sent as a body, `files` as an upload."""

    role: str
    path: str
    data: dict[str, Any] = field(default_factory=dict)
    json: dict[str, Any] | None = None
    files: dict[str, Any] | None = None


def _plain(role: str, path: str, /, **data: Any) -> Callable[[Any, str], Try]:
    return lambda room, study: Try(role=role, path=path.format(study=study), data=data)


def _after(before: Callable[[Any, str], Try], then: Callable[[Any, str], Try]) -> Callable[[Any, str], Try]:
    """`then`, in a room where `before` was done."""

    def prepared(room: Any, study: str) -> Try:
        assert _send(room, before(room, study)).status_code < 400
        return then(room, study)

    return prepared


def _finding(room: Any, study: str) -> dict[str, Any]:
    [read] = room.premises.source.summary(study).reading.series
    peak = next(one for one in read.findings if one.name == "glioma").localisation.peak_frame
    return {"series": read.key, "finding": "glioma", "frame": peak}


def _token(room: Any, study: str) -> Try:
    with room.store.begin() as work:
        People(work).make_token("viewer", label="ris", role="viewer", now=room.clock())
        [token] = People(work).tokens("viewer", now=room.clock())
    return Try(role="viewer", path=f"/account/tokens/{token.number}/revoke")


def _code(room: Any, study: str) -> Try:
    secret = new_secret()
    code = code_at(secret, int(room.clock().timestamp()) // STEP_S)
    data = {"secret": secret, "code": code, "password": PASSWORD}
    return Try(role="viewer", path="/account/codes/confirm", data=data)


def _alert(what: str, **data: Any) -> Callable[[Any, str], Try]:
    def tried(room: Any, study: str) -> Try:
        with room.store.read() as work:
            key = Alerts(work).list()[0].key
        return Try(role="radiologist", path=f"/alerts/{key}/{what}", data=data)

    return tried


def _decision(room: Any, study: str) -> Try:
    found = _finding(room, study)
    data = {"series": found["series"], "finding": "glioma", "outcome": "accept"}
    return Try(role="radiologist", path=f"/studies/{study}/decisions", data=data)


def _own_reading(room: Any, study: str) -> Try:
    """Of a study whose AI is withheld from the reader."""
    calm = next(one for one in room.premises.source.every() if one.reading and not is_urgent(one.reading))
    with room.store.begin() as work:
        made = Decision(
            study_instance_uid="1.2.9",
            series_key="1.2",
            finding="glioma",
            engine="bright-spots@1.2.3",
            reading_digest="other",
            reader="radiologist",
            outcome="accept",
            at=room.clock(),
        )
        Rows(work).decide(made)
    _send(room, Try(role="lead", path="/trust-rules", data={"text": ALWAYS}))
    return Try(role="radiologist", path=f"/studies/{calm.study_instance_uid}/own-reading", data={"nothing": "true"})


def _view(room: Any, study: str) -> Try:
    view = {"event": "overlay-shown", "finding": "1.2/glioma", "ms": 0, "method": ""}
    return Try(role="radiologist", path=f"/studies/{study}/views", json=view)


def _report(room: Any, study: str) -> Try:
    text = {"findings": "Words.", "impression": "", "base": 0, "sign": False}
    return Try(role="radiologist", path=f"/studies/{study}/report", json=text)


def _ask(room: Any, study: str) -> Try:
    return Try(
        role="radiologist",
        path=f"/api/v1/results/{study}:1/explanations",
        json=_finding(room, study) | {"method": "rise"},
    )


def _stop(room: Any, study: str) -> Try:
    job = _send(room, _ask(room, study)).json()["job"]
    return Try(role="radiologist", path=f"/api/v1/results/{study}:1/explanations/{job}/stop", json={})


def _sign(room: Any, study: str) -> Try:
    room.phase("heatmaps")
    easy = Criterion(metric="days_in_phase", at_least=0, why="a test")
    rows = [row.model_copy(update={"criteria": (easy,)}) for row in room.premises.phases.phase]
    table = room.premises.phases.model_copy(update={"phase": tuple(rows)})
    room.premises = replace(room.premises, phases=table)
    room.app = create_app(room.premises)
    return Try(role="lead", path="/rollout/sign", data={"engine": "bright-spots"})


def _upload(room: Any, study: str) -> Try:
    return Try(role="radiologist", path="/upload", files={"file": ("x", b"no DICOM")})


QUIZ = {f"q{index}": str(one["right"]) for index, one in enumerate(content()["question"])}
READ = _plain("resident", "/training/practice/6/reading", finding="nothing")
STOP = _plain("lead", "/rollout/stop", reason="by a test")
CLAIM = _plain("lead", "/studies/{study}/claim")
FINISH = _plain("lead", "/studies/{study}/finish")

TRIES: dict[str, Callable[[Any, str], Try]] = {
    "POST /login": _plain("", "/login", name="viewer", password=PASSWORD),
    "POST /logout": _plain("viewer", "/logout"),
    "POST /account/password": _plain("viewer", "/account/password", old=PASSWORD, new="another long one"),
    "POST /account/codes": _plain("viewer", "/account/codes"),
    "POST /account/codes/confirm": _code,
    "POST /account/codes/off": _plain("viewer", "/account/codes/off", password=PASSWORD),
    "POST /account/tokens": _plain("viewer", "/account/tokens", label="ris", role="viewer"),
    "POST /account/tokens/{number}/revoke": _token,
    "POST /worklist/find": _plain("viewer", "/worklist/find", search="x"),
    "POST /studies/{uid}/claim": CLAIM,
    "POST /studies/{uid}/release": _after(CLAIM, _plain("lead", "/studies/{study}/release")),
    "POST /studies/{uid}/finish": FINISH,
    "POST /studies/{uid}/reopen": _after(FINISH, _plain("lead", "/studies/{study}/reopen")),
    "POST /studies/{uid}/urgency": _plain("lead", "/studies/{study}/urgency", level=1, reason="seen"),
    "POST /studies/{uid}/looked": _plain("lead", "/studies/{study}/looked"),
    "POST /studies/{uid}/comments": _plain("lead", "/studies/{study}/comments", text="words"),
    "POST /studies/{uid}/decisions": _decision,
    "POST /studies/{uid}/views": _view,
    "POST /studies/{uid}/own-reading": _own_reading,
    "POST /studies/{uid}/report": _plain("radiologist", "/studies/{study}/report", findings="Words.", base=0),
    "PUT /studies/{uid}/report": _report,
    "POST /alerts/{key}/acknowledge": _alert("acknowledge"),
    "POST /alerts/{key}/comments": _alert("comments", text="words"),
    "POST /api/v1/results/{rid}/explanations": _ask,
    "POST /api/v1/results/{rid}/explanations/{job}/stop": _stop,
    "POST /trust-rules": _plain("lead", "/trust-rules", text=ALWAYS),
    "POST /upload": _upload,
    "POST /training/heartbeat": _plain("resident", "/training/heartbeat"),
    "POST /training/modules/{name}": _plain("resident", "/training/modules/failures"),
    "POST /training/quiz": _plain("resident", "/training/quiz", **QUIZ),
    "POST /training/engines/{name}": _plain("resident", "/training/engines/bright-spots"),
    "POST /training/grants": _plain("admin", "/training/grants", account="resident", reason="by a test"),
    "POST /training/practice/{number}/reading": READ,
    "POST /training/practice/{number}/verdict": _after(
        READ, _plain("resident", "/training/practice/6/verdict", verdict="right")
    ),
    "POST /rollout/sign": _sign,
    "POST /rollout/back": _plain("lead", "/rollout/back", engine="bright-spots", reason="by a test"),
    "POST /rollout/stop": STOP,
    "POST /rollout/resume": _after(STOP, _plain("lead", "/rollout/resume", reason="by a test")),
    "POST /audit/verify": _plain("auditor", "/audit/verify"),
    "POST /audit/anchor": _plain("auditor", "/audit/anchor"),
    "POST /admin/users": _plain("admin", "/admin/users", name="new", role="viewer", password="long enough to be"),
    "POST /admin/users/{name}": _plain("admin", "/admin/users/viewer", role="resident", active="true"),
    "POST /admin/settings": _plain("admin", "/admin/settings", name="site_name", value="here"),
    "POST /admin/profile": _plain("admin", "/admin/profile", finding="glioma", use="notify"),
}


def _send(room: Any, one: Try) -> Any:
    browser = room.browser(one.role)
    browser.client._transport.raise_server_exceptions = False
    if one.json is not None:
        method = "PUT" if one.path.endswith("/report") else "POST"
        return browser.client.request(method, one.path, json=one.json, headers={"X-CSRF-Token": browser.csrf})
    return browser.post(one.path, one.data, **({"files": one.files} if one.files else {}))


def _everything(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows but those of sessions, which note when they were last used; and every file beside them."""
    connection = sqlite3.connect(folder / "room/radiolucent.sqlite")
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {
        name: connection.execute(f'SELECT * FROM "{name}"').fetchall()
        for name in names
        if name not in ("sessions", "sqlite_sequence")
    }
    connection.close()
    files = [path for path in sorted(folder.rglob("*")) if "sqlite" not in path.name and "maps" not in path.parts]
    return rows | {"files": [(str(path),) for path in files]}


def _do(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "room/radiolucent.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.fixture
def house(room: Any, tmp_path: Path, bright_spots: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The room with a desk for explanations, where every draw withholds."""
    engine: Any = bright_spots()
    desk = Desk(running([engine]), tmp_path / "maps")
    object.__setattr__(room.premises, "desk", desk)
    monkeypatch.setattr("radiolucent.web.adapting.drawn", lambda rule, **_: rule.withhold_share is not None)
    yield room
    desk.close()


def test_every_address_that_changes_something_is_tried() -> None:
    changing = {address for address in DOORS if not address.startswith("GET ")}
    assert changing == set(TRIES) | set(OF_A_GATEWAY)


@pytest.mark.parametrize("address", sorted(TRIES))
def test_a_change_is_written_down_with_it_or_not_done(house: Any, study: str, tmp_path: Path, address: str) -> None:
    """Without the form's token: refused. With a trail that takes nothing: fails as a whole. Then: done, and told."""
    one = TRIES[address](house, study)
    before = _everything(tmp_path)
    if address != "POST /login":  # before it there is no session whose token a form could bring
        assert _forged(house, address, one, {"X-CSRF-Token": "x"}) == (403, "csrf")
    assert _forged(house, address, one, {"Sec-Fetch-Site": "cross-site"}) == (403, "csrf")
    assert _everything(tmp_path) == before
    _do(tmp_path, "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
    assert _send(house, one).status_code == 500
    assert _everything(tmp_path) == before
    _do(tmp_path, "DROP TRIGGER full")
    if address == "POST /api/v1/results/{rid}/explanations":  # the one that was stopped may still be ending
        _until(lambda: all(job.state not in OPEN for job in house.premises.desk._jobs.values()))
    assert _send(house, one).status_code < 400
    assert len(_everything(tmp_path)["audit"]) > len(before["audit"])
    if address == "POST /upload":
        _until(lambda: len(house.events("study.uploaded")) == 2)


def _forged(room: Any, address: str, one: Try, headers: dict[str, str]) -> tuple[int, str]:
    """What comes back where a page of another site sends it."""
    sent = {"json": one.json} if one.json is not None else {"data": one.data, "files": one.files}
    client = room.browser(one.role).client
    answer = client.request(address.split(" ")[0], one.path, headers=headers | {"Accept": "application/json"}, **sent)
    return answer.status_code, answer.json().get("code", "") if answer.status_code >= 400 else ""


def _until(holds: Callable[[], bool], *, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.05)
