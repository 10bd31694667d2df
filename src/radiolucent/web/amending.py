"""What a rejection does to a result that was sent: one finding is taken out, or all of it is taken back; and undone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from radiolucent.audit.reading_events import ResultAmended
from radiolucent.errors import NoSuchStudy
from radiolucent.findings.reading import Reading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.pipeline.amending import meets
from radiolucent.pipeline.delivering import withdraw
from radiolucent.store.amendments import FINDING, PLACE, Amendment, Amendments
from radiolucent.store.audit import AuditTrail
from radiolucent.store.room import Decision
from radiolucent.web.access import Checked, Here, Premises, Refused, Visitor, require
from radiolucent.web.study import REASONS

router = APIRouter()


def take_back(here: Premises, who: Visitor, decision: Decision, reading: Reading | None) -> str:
    """Take back what a reader rejected because it is wrong: ``amended``, ``withdrawn``, or empty: nothing was sent.

    A gateway reads the study again without the finding, or without its place where only that is wrong, and what was
    sent is corrected. Where no other finding is left, or the images are gone, the whole reading is withdrawn.
    """
    amendment = _amendment(decision, reading)
    if here.office is not None and amendment is not None:
        try:
            _amend(here, who, decision.study_instance_uid, amendment)
        except NoSuchStudy:
            pass  # its images were removed: what can't be made anew is withdrawn
        else:
            here.office.wake()
            return "amended"
    label = finding_type(decision.finding).label
    reason = f"rejected by a reader: {label}: {REASONS[decision.reason]}"
    try:
        withdraw(here.store, decision.study_instance_uid, reason=reason, actor=who.name, at=here.clock())
    except NoSuchStudy:
        return ""  # a folder of readings: nothing was sent, nothing is kept as a revision
    return "withdrawn"


@router.post("/studies/{uid}/amendments/undo")
def bring_back(
    uid: str,
    here: Here,
    who: Checked,
    series: Annotated[str, Form(max_length=80)],
    finding: Annotated[str, Form(max_length=64)],
) -> Response:
    """Let a finding be told again that was taken out of the result."""
    require(here, who, "decide", study=uid)
    if here.office is None:
        raise Refused(404, "not_found")
    now = here.clock()
    with here.store.begin() as work:
        if not Amendments(work).undo(uid, series, finding, account=who.name, now=now):
            raise Refused(404, "not_found")
        here.office.read_again(work, uid, at=now)
        AuditTrail(work).append(
            who.signs(ResultAmended, at=now, study=uid, finding=finding, series=series, what="brought back")
        )
    here.office.wake()
    return RedirectResponse(f"/studies/{uid}#decisions", 303)


def _amendment(decision: Decision, reading: Reading | None) -> Amendment | None:
    """What is to be taken out; None where nothing would be left to tell."""
    found = [(finding, one) for one in (reading.series if reading else ()) for finding in one.positives]
    mine = [
        (finding, one) for finding, one in found if (one.key, finding.name) == (decision.series_key, decision.finding)
    ]
    what = PLACE if decision.reason == "wrong-place" else FINDING
    if not mine or (what == FINDING and len(found) == len(mine)):
        return None
    made = Amendment(
        series_key=decision.series_key,
        finding=decision.finding,
        engine=decision.engine,
        logit=mine[0][0].logit,
        what=what,
        reader=decision.reader,
        at=decision.at,
    )
    return made if meets(made, *mine[0]) else None


def _amend(here: Premises, who: Visitor, study: str, amendment: Amendment) -> None:
    assert here.office is not None
    with here.store.begin() as work:
        Amendments(work).add(study, amendment)
        here.office.read_again(work, study, at=amendment.at)
        AuditTrail(work).append(
            who.signs(
                ResultAmended,
                at=amendment.at,
                study=study,
                finding=amendment.finding,
                series=amendment.series_key,
                what=f"{amendment.what} taken out",
            )
        )
