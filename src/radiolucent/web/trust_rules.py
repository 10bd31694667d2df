"""The trust rules on a page: everyone reads them and their own figures; who signs phases may change them."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from radiolucent.audit.events import SettingChanged
from radiolucent.errors import SetupError
from radiolucent.rollout.trust import WORDS, applying, packaged_text, parse_trust
from radiolucent.store.adaptation import Adaptations
from radiolucent.store.audit import AuditTrail
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Checked, Here, Premises, Someone, Visitor, require
from radiolucent.web.adapting import Adapting
from radiolucent.web.pages import page
from radiolucent.web.training import engines_of

router = APIRouter()


@router.get("/trust-rules")
def trust_rules(here: Here, who: Someone) -> Response:
    """The rules, and which of them apply to this reader now, by engine."""
    require(here, who, "image")
    with here.store.read() as work:
        return _page(here, who, work, text=Adaptations(work).rules() or packaged_text())


@router.post("/trust-rules")
def change_rules(here: Here, who: Checked, text: Annotated[str, Form(max_length=20_000)] = "") -> Response:
    """Put other rules in their place, or (left empty) the packaged ones; what is no table is shown again with why."""
    require(here, who, "sign-phase")
    text = text.replace("\r\n", "\n").strip()
    try:
        if text:
            parse_trust(text)
    except SetupError as error:
        with here.store.read() as work:
            return _page(here, who, work, text=text, fault=str(error))
    with here.store.begin() as work:
        kept, now = Adaptations(work), here.clock()
        before = kept.rules() or packaged_text()
        kept.set_rules(text, who.name, now=now)
        after = text or packaged_text()
        AuditTrail(work).append(
            who.signs(SettingChanged, at=now, name="trust_rules", before=_digest(before), after=_digest(after))
        )
    return RedirectResponse("/trust-rules", 303)


def _page(here: Premises, who: Visitor, work: Work, *, text: str, fault: str = "") -> Response:
    adapting = Adapting(here, who, work)
    mine = [(engine.label, adapting.record([engine.name])) for engine in engines_of(here)]
    return page(
        "trust_rules.html.j2",
        here,
        who,
        work,
        status=422 if fault else 200,
        table=adapting.table,
        words=WORDS,
        mine=[(label, record, applying(record, adapting.table)) for label, record in mine],
        text=text,
        fault=fault,
        digest=_digest(text),
    )


def _digest(text: str) -> str:
    """Names an edition of the rules in the trail; its text stays in the database."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
