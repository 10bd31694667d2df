"""Thresholds of a site: shown beside the engine's own, tried on what was read, then set, in two steps with a reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import RedirectResponse, Response

from radiolucent.app.office import Office
from radiolucent.app.thresholds import kept_points
from radiolucent.audit.events import ThresholdChanged
from radiolucent.engines.bundle import Bundle
from radiolucent.findings.operating_points import OperatingPoints, as_toml, with_threshold
from radiolucent.pipeline.read_study import engine_ref
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.facts import FindingFact
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Checked, Here, Premises, Refused, Someone, require
from radiolucent.web.pages import page

router = APIRouter()
Name = Annotated[str, Form(max_length=128)]


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """One finding of an engine: its own operating point, and the site's, None where it has none."""

    finding: str
    own: float
    site: float | None
    calibrated: bool


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What another threshold would have changed on the last `n` readings of a finding."""

    n: int
    before: int
    after: int
    became_positive: int
    became_negative: int


def trial(cases: list[FindingFact], threshold: float) -> Trial:
    """Try a threshold on readings that were made: the calibrated probability counts, or the score without one."""
    after = [(one.score if one.probability is None else one.probability) >= threshold for one in cases]
    before = [one.positive for one in cases]
    return Trial(
        n=len(cases),
        before=sum(before),
        after=sum(after),
        became_positive=sum(new and not old for old, new in zip(before, after, strict=True)),
        became_negative=sum(old and not new for old, new in zip(before, after, strict=True)),
    )


@router.get("/admin/thresholds")
def thresholds(
    here: Here,
    who: Someone,
    engine: Annotated[str, Query(max_length=128)] = "",
    finding: Annotated[str, Query(max_length=64)] = "",
    value: Annotated[float | None, Query(gt=0, lt=1)] = None,
    last: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> Response:
    """The page: all thresholds; and, where one is asked about, what it would have changed on the last readings."""
    require(here, who, "admin")
    tried = None
    with here.store.read() as work:
        if value is not None:
            _known(here, engine, finding)
            tried = trial(here.source.scores(work, engine, finding, last), value)
        return page(
            "thresholds.html.j2",
            here,
            who,
            work,
            engines=[(bundle.label, _of(bundle, here.office)) for bundle in _bundles(here)],
            asked={"engine": engine, "finding": finding, "value": value, "last": last},
            tried=tried,
            state=_state(Site(work).thresholds()),
            history=[one for one in AuditTrail(work).find(_CHANGES, limit=20)],
            gateway=here.office is not None,
        )


@router.post("/admin/thresholds")
def set_threshold(
    here: Here,
    who: Checked,
    engine: Name,
    finding: Name,
    value: Annotated[float, Form(gt=0, lt=1)],
    again: Annotated[float, Form()],
    state: Annotated[str, Form(max_length=64)],
    purpose: Annotated[str, Form(min_length=3, max_length=200)],
    reason: Annotated[str, Form(min_length=3, max_length=500)],
) -> Response:
    """Set one threshold: its value typed twice, on the page that showed what it changes, unless others changed one."""
    require(here, who, "admin")
    bundle = _known(here, engine, finding)
    if again != value:
        raise Refused(422, "confirm", "The value was not confirmed: type the same number again.")
    with here.store.begin() as work:
        points = _kept(here, work, state)
        before = _site_value(here, bundle, finding)
        points = with_threshold(
            points,
            engine_ref(bundle),
            finding,
            value,
            purpose=purpose,
            set_by=who.name,
            set_on=here.clock().date(),
            reason=reason,
        )
        Site(work).set_thresholds(as_toml(points))
        AuditTrail(work).append(
            who.signs(
                ThresholdChanged,
                at=here.clock(),
                engine=bundle.label,
                finding=finding,
                before=before,
                after=str(value),
                purpose=purpose,
                reason=reason,
            )
        )
    return RedirectResponse("/admin/thresholds", 303)


@router.post("/admin/thresholds/own")
def give_back(
    here: Here,
    who: Checked,
    engine: Name,
    state: Annotated[str, Form(max_length=64)],
    reason: Annotated[str, Form(min_length=3, max_length=500)],
) -> Response:
    """Give an engine its own thresholds back."""
    require(here, who, "admin")
    bundle = _known(here, engine)
    with here.store.begin() as work:
        points = _kept(here, work, state)
        others = tuple(one for one in points.engines if one.name != bundle.manifest.name)
        if others == points.engines:
            raise Refused(409, "own", "Nothing was set here for this engine.")
        Site(work).set_thresholds(as_toml(OperatingPoints(site=points.site, engines=others)))
        AuditTrail(work).append(
            who.signs(
                ThresholdChanged,
                at=here.clock(),
                engine=bundle.label,
                finding="",
                before="the site's",
                after="",
                purpose="",
                reason=reason,
            )
        )
    return RedirectResponse("/admin/thresholds", 303)


_CHANGES = Filter(kind=ThresholdChanged.kind)


def _bundles(here: Premises) -> list[Bundle]:
    return sorted(here.bundles, key=lambda bundle: bundle.label)


def _known(here: Premises, engine: str, finding: str = "") -> Bundle:
    for bundle in here.bundles:
        if bundle.label == engine and (not finding or finding in bundle.manifest.finding_names):
            return bundle
    raise Refused(404, "not_found", "There is no such engine or finding here.")


def _of(bundle: Bundle, office: Office | None) -> list[Threshold]:
    points = office.points() if office else None
    sites = points.thresholds(engine_ref(bundle)) if points else {}
    calibrated = bundle.calibration.findings if bundle.calibration else {}
    return [
        Threshold(finding=name, own=bundle.operating_point(name), site=sites.get(name), calibrated=name in calibrated)
        for name in bundle.manifest.finding_names
    ]


def _site_value(here: Premises, bundle: Bundle, finding: str) -> str:
    now = next(one for one in _of(bundle, here.office) if one.finding == finding)
    return str(now.own if now.site is None else now.site)


def _kept(here: Premises, work: Work, state: str) -> OperatingPoints:
    """What is set now; refused where it isn't what the page showed."""
    if here.office is None:
        raise Refused(409, "no_gateway", "This server is no gateway: its thresholds are the engines' own.")
    if state != _state(Site(work).thresholds()):
        raise Refused(409, "changed", "Somebody set thresholds meanwhile: look at the page again.")
    return kept_points(here.store)[0]


def _state(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
