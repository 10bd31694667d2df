"""Nodes of a gateway: whom it talks to, and whether each is there; asked by a person, the answer in the trail."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from radiolucent.audit.events import NodeAsked
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Checked, Here, Premises, Refused, Someone, Visitor, require
from radiolucent.web.pages import page

router = APIRouter()


@router.get("/admin/nodes")
def nodes(here: Here, who: Someone) -> Response:
    """The page: every node of the settings, with the last answer of each."""
    require(here, who, "admin")
    with here.store.read() as work:
        return _page(here, who, work)


@router.post("/admin/nodes/{name}/echo")
def ask(name: str, here: Here, who: Checked) -> Response:
    """Ask a node now: C-ECHO for a PACS, a request or a connection for others."""
    require(here, who, "admin")
    found = [one for one in here.office.nodes if one.name == name] if here.office else []
    if not found:
        raise Refused(404, "not_found", "There is no such node.")
    answer = found[0].ask()
    with here.store.begin() as work:
        words = f"{answer.reason} ({answer.seconds:.2f} s)"
        AuditTrail(work).append(
            who.signs(NodeAsked, at=here.clock(), node=name, answered=answer.answered, reason=words)
        )
        return _page(here, who, work)


def _page(here: Premises, who: Visitor, work: Work) -> Response:
    last: dict[str, NodeAsked] = {}
    for one in AuditTrail(work).find(Filter(kind=NodeAsked.kind), limit=200):
        if isinstance(one.event, NodeAsked):
            last.setdefault(one.event.node, one.event)
    told = [(one, last.get(one.name)) for one in here.office.nodes] if here.office else []
    return page("nodes.html.j2", here, who, work, nodes=told, gateway=here.office is not None)
