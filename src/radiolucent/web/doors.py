"""Every address of the app and what it asks of the table of access: an address without a row here lets nobody in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal

from fastapi import Depends, Header, Request

from radiolucent.rollout.policy import Route
from radiolucent.web.access import Here, Refused, require, visitor

Open = Literal["anyone", "logged-in", "token"]
"""What asks the table for nothing: the ways in, what is one's own, and what looks at the token of a machine itself."""

DOORS: Final[Mapping[str, Route | Open]] = MappingProxyType(
    {
        "GET /": "anyone",
        "GET /healthz": "anyone",
        "GET /readyz": "anyone",
        "GET /login": "anyone",
        "POST /login": "anyone",
        "GET /login/provider": "anyone",
        "GET /login/provider/back": "anyone",
        "POST /logout": "logged-in",
        "GET /me": "logged-in",
        "GET /api/v1/openapi.json": "account",
        "GET /api/v1/explanations/methods": "logged-in",
        "GET /account": "account",
        "POST /account/password": "account",
        "POST /account/codes": "account",
        "POST /account/codes/confirm": "account",
        "POST /account/codes/off": "account",
        "POST /account/tokens": "account",
        "POST /account/tokens/{number}/revoke": "account",
        "GET /worklist": "worklist",
        "POST /worklist/find": "worklist",
        "GET /worklist/news": "worklist",
        "GET /api/v1/worklist": "worklist",
        "POST /studies/{uid}/claim": "claim",
        "POST /studies/{uid}/release": "claim",
        "POST /studies/{uid}/finish": "finish",
        "POST /studies/{uid}/reopen": "finish",
        "POST /studies/{uid}/urgency": "set-urgency",
        "GET /alerts": "worklist",
        "GET /alerts/bell": "worklist",
        "GET /api/v1/alerts": "worklist",
        "POST /alerts/{key}/acknowledge": "acknowledge",
        "POST /alerts/{key}/comments": "comment",
        "GET /studies/{uid}": "image",
        "GET /studies/{uid}/picture.png": "image",
        "GET /studies/{uid}/insight": "image",
        "GET /studies/{uid}/priors": "image",
        "GET /studies/{uid}/history": "image",
        "POST /studies/{uid}/looked": "looked",
        "POST /studies/{uid}/comments": "comment",
        "GET /studies/{uid}/decisions": "text",
        "POST /studies/{uid}/decisions": "decide",
        "POST /studies/{uid}/views": "image",
        "GET /studies/{uid}/report": "image",
        "PUT /studies/{uid}/report": "report",
        "POST /studies/{uid}/report": "report",
        "POST /studies/{uid}/amendments/undo": "decide",
        "POST /studies/{uid}/own-reading": "decide",
        "GET /api/v1/series/{key}/meta": "image",
        "GET /api/v1/series/{key}/frames/{k}": "image",
        "GET /api/v1/results/{rid}": "image",
        "GET /api/v1/results/{rid}/heat/{finding}": "image",
        "GET /api/v1/results/{rid}/change/{finding}": "image",
        "GET /api/v1/results/{rid}/explanations": "image",
        "POST /api/v1/results/{rid}/explanations": "image",
        "GET /api/v1/results/{rid}/explanations/{job}": "image",
        "POST /api/v1/results/{rid}/explanations/{job}/stop": "image",
        "GET /api/v1/results/{rid}/explanations/{job}/map": "image",
        "GET /trust-rules": "image",
        "POST /trust-rules": "sign-phase",
        "GET /upload": "upload",
        "POST /upload": "upload",
        "GET /upload/{number}": "upload",
        "GET /training": "training",
        "GET /training/modules/{name}": "training",
        "POST /training/modules/{name}": "training",
        "POST /training/heartbeat": "training",
        "POST /training/quiz": "training",
        "POST /training/engines/{name}": "training",
        "POST /training/grants": "grant-training",
        "GET /training/practice": "training",
        "GET /training/practice/{number}": "training",
        "GET /training/practice/{number}/{what}.png": "training",
        "POST /training/practice/{number}/reading": "training",
        "POST /training/practice/{number}/verdict": "training",
        "GET /training/gallery/{name}.png": "training",
        "GET /rollout": "rollout",
        "POST /rollout/sign": "sign-phase",
        "POST /rollout/back": "sign-phase",
        "POST /rollout/stop": "stop-ai",
        "POST /rollout/resume": "sign-phase",
        "GET /audit": "audit",
        "POST /audit/verify": "audit",
        "POST /audit/anchor": "audit",
        "GET /audit/export.csv": "audit",
        "GET /audit/export.json": "audit",
        "GET /audit/{number}/picture.png": "audit",
        "GET /admin": "admin",
        "POST /admin/users": "admin",
        "POST /admin/users/{name}": "admin",
        "POST /admin/settings": "admin",
        "GET /admin/engines": "admin",
        "POST /admin/profile": "admin",
        "GET /admin/nodes": "admin",
        "POST /admin/nodes/{name}/echo": "admin",
        "GET /admin/queues": "admin",
        "POST /admin/queues/deliveries": "admin",
        "POST /admin/queues/studies": "admin",
        "GET /admin/archive": "admin",
        "GET /admin/thresholds": "admin",
        "POST /admin/thresholds": "admin",
        "POST /admin/thresholds/own": "admin",
        "GET /metrics": "monitoring",
        "GET /monitoring": "monitoring",
        "GET /monitoring/{name}.csv": "monitoring",
        "GET /monitoring/{tab}": "monitoring",
        "GET /api/v1/metrics/{name}": "monitoring",
        "POST /dicom-web/studies": "token",
        "POST /dicom-web/studies/{study}": "token",
    }
)
"""Method and address, as the route is written → the row of `rollout.policy.RULES` that the role needs.

Phase, training and profile of a single result are asked where that result is known: there the same table decides.
"""
_STUDIES: Final = ("uid", "study")


def door(request: Request, here: Here, authorization: Annotated[str, Header()] = "") -> None:
    """Asked before anything else of a request is looked at. Raises `LogInFirst` or `Refused`."""
    asked = DOORS.get(f"{request.method} {request.scope['route'].path}")
    if asked is None:
        raise Refused(403, "no_door", "This address has no row in the table of doors (web/doors.py).")
    if asked == "anyone" or asked == "token":
        return
    who = visitor(request, here, authorization)
    request.state.visitor = who
    if asked != "logged-in":
        study = next((request.path_params[name] for name in _STUDIES if name in request.path_params), "")
        require(here, who, asked, study=str(study))


AT_THE_DOOR: Final = Depends(door)
