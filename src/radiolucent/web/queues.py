"""What a gateway has in hand: studies by state, deliveries by destination, dead letters; and to have it done again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from radiolucent.app.office import Office
from radiolucent.audit.events import QueuedAgain
from radiolucent.explain.cache import ExplanationCache
from radiolucent.pipeline.retention import EXPLANATIONS, to_remove
from radiolucent.store.audit import AuditTrail
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.instances import Instances
from radiolucent.store.site import Site
from radiolucent.store.states import DELIVERY_STATES, STUDY_STATES, names
from radiolucent.store.studies import Filters, Studies
from radiolucent.store.workers import Workers
from radiolucent.web.access import Checked, Here, Premises, Refused, Someone, require
from radiolucent.web.pages import page

router = APIRouter()
_SHOWN = 100


@router.get("/admin/queues")
def queues(here: Here, who: Someone) -> Response:
    """The page."""
    require(here, who, "admin")
    with here.store.read() as work:
        deliveries, studies = Deliveries(work), Studies(work)
        return page(
            "queues.html.j2",
            here,
            who,
            work,
            gateway=here.office is not None,
            studies=studies.counts(),
            study_states=STUDY_STATES,
            destinations=deliveries.by_destination(),
            delivery_states=names(DELIVERY_STATES),
            dead=deliveries.dead(limit=_SHOWN),
            failed=studies.list(Filters(states=("failed",), limit=_SHOWN)),
            turned_away=Instances(work).turned_away(limit=20),
            workers=Workers(work).list(),
        )


@router.post("/admin/queues/deliveries")
def send_again(
    here: Here,
    who: Checked,
    destination: Annotated[str, Form(max_length=64)] = "",
    study: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Have dead letters sent again: all of them, those of a destination, or those of a study."""
    require(here, who, "admin")
    office = _office(here)
    with here.store.begin() as work:
        number = Deliveries(work).requeue(at=here.clock(), study_instance_uid=study, destination=destination)
        what = f"deliveries to {destination}" if destination else "deliveries"
        AuditTrail(work).append(who.signs(QueuedAgain, at=here.clock(), study=study, what=what, number=number))
    office.wake()
    return RedirectResponse("/admin/queues", 303)


@router.post("/admin/queues/studies")
def read_again(here: Here, who: Checked, study: Annotated[str, Form(min_length=1, max_length=64)]) -> Response:
    """Have a study read again, as a new revision."""
    require(here, who, "admin")
    office = _office(here)
    with here.store.begin() as work:
        made = office.read_again(work, study, at=here.clock())
        AuditTrail(work).append(
            who.signs(QueuedAgain, at=here.clock(), study=study, what="reading", number=made.number)
        )
    office.wake()
    return RedirectResponse("/admin/queues", 303)


@router.get("/admin/archive")
def archive(here: Here, who: Someone) -> Response:
    """How full the archive is, its limits, what they would remove now (a dry run), and the maps made on request."""
    require(here, who, "admin")
    office = here.office
    planned = to_remove(here.store, office.limits, at=here.clock()) if office else []
    maps = ExplanationCache(here.store.folder / EXPLANATIONS).files()
    with here.store.read() as work:
        return page(
            "archive.html.j2",
            here,
            who,
            work,
            gateway=office is not None,
            limits=office.limits if office else None,
            watermark=office.parts.archive.watermark_bytes if office else 0,
            free=office.parts.archive.free_bytes() if office else 0,
            kept=Instances(work).bytes_kept(),
            objects=Instances(work).counts(),
            maps=len(maps),
            maps_bytes=sum(path.stat().st_size for path in maps if path.exists()),
            settings={name: Site(work).setting(name) for name in ("explanation_days", "explanation_mib")},
            planned=planned[:_SHOWN],
            planned_studies=len(planned),
            planned_bytes=sum(one.bytes for one in planned),
        )


def _office(here: Premises) -> Office:
    if here.office is None:
        raise Refused(409, "no_gateway", "This server is no gateway: it has no queues.")
    return here.office
