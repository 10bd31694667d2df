"""Administration: accounts and roles, settings of the site, engines with their cards, the profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from radiolucent.audit.events import AccountChanged, SettingChanged
from radiolucent.engines.bundle import Bundle
from radiolucent.findings.profile import USES, IntendedUse, narrowed
from radiolucent.findings.reading import EngineRef
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.rollout.policy import ROLES
from radiolucent.store.audit import AuditTrail
from radiolucent.store.people import People
from radiolucent.store.site import SETTINGS, Site
from radiolucent.web.access import BASE, Checked, Here, Premises, Refused, Someone, require
from radiolucent.web.pages import page
from radiolucent.web.training import engines_of

router = APIRouter()
_BY_SWITCH = ("ai_stopped",)  # has a page of its own, with a reason


@router.get("/admin")
def administration(here: Here, who: Someone) -> Response:
    """The page."""
    require(here, who, "admin")
    with here.store.read() as work:
        site = Site(work)
        accounts = People(work).every()
        return page(
            "admin.html.j2",
            here,
            who,
            work,
            accounts=accounts,
            trained={one.name: site.progress(one.name, BASE).passed_at for one in accounts},
            roles=ROLES,
            settings=[
                (name, site.setting(name), words, allowed)
                for name, (_, words, allowed) in SETTINGS.items()
                if name not in _BY_SWITCH
            ],
        )


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of an engine: from its bundle, or its label alone where only its readings are here."""

    label: str
    digest: str
    title: str = ""
    summary: str = ""
    findings: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    card: str = ""


@router.get("/admin/engines")
def engines(here: Here, who: Someone) -> Response:
    """Engines with their cards, and what the site may use each finding for."""
    require(here, who, "admin")
    bundles = {bundle.label: bundle for bundle in here.bundles}
    cards = [_card(here, engine, bundles.get(engine.label)) for engine in engines_of(here)]
    with here.store.read() as work:
        uses = Site(work).profile_uses()
        profile = narrowed(here.profile, uses)
        names = sorted({name for one in cards for name in one.findings} | set(here.profile.findings) | set(uses))
        allowed = {name: USES[: USES.index(here.profile.use(name)) + 1] for name in names}
        return page(
            "engines.html.j2", here, who, work, engines=cards, profile=here.profile, now_used=profile, allowed=allowed
        )


@router.post("/admin/profile")
def use_for_less(
    here: Here,
    who: Checked,
    finding: Annotated[str, Form(max_length=64)],
    use: Annotated[IntendedUse, Form()],
) -> Response:
    """Use a finding for less than the site's profile allows, or for as much again; never for more."""
    require(here, who, "admin")
    if finding not in FINDINGS:
        raise Refused(404, "not_found", "There is no such finding.")
    most = here.profile.use(finding)
    if USES.index(use) > USES.index(most):
        raise Refused(422, "profile", f"The site's profile allows {most} at most.")
    with here.store.begin() as work:
        site = Site(work)
        before = narrowed(here.profile, site.profile_uses()).use(finding)
        site.set_profile_use(finding, "" if use == most else use)
        AuditTrail(work).append(
            who.signs(SettingChanged, at=here.clock(), name=f"profile: {finding}", before=before, after=use)
        )
    return RedirectResponse("/admin/engines", 303)


def _card(here: Premises, engine: EngineRef, bundle: Bundle | None) -> Card:
    limits = here.limits.get(engine.label, ())
    if bundle is None:
        return Card(label=engine.label, digest=engine.digest, limits=limits)
    told, path = bundle.manifest, bundle.path / "card.md"
    return Card(
        label=engine.label,
        digest=bundle.digest,
        title=told.title,
        summary=told.summary,
        findings=told.finding_names,
        limits=limits,
        card=path.read_text(encoding="utf-8") if path.is_file() else "",
    )


@router.post("/admin/users")
def add_account(
    here: Here,
    who: Checked,
    name: Annotated[str, Form(pattern=r"^[A-Za-z0-9._@-]{2,64}$")],
    role: Annotated[str, Form(max_length=32)],
    password: Annotated[str, Form(max_length=256)],
) -> Response:
    """Make an account."""
    require(here, who, "admin")
    _role(role)
    with here.store.begin() as work:
        People(work).add(name, role=role, password=password, now=here.clock())
        AuditTrail(work).append(
            who.signs(AccountChanged, at=here.clock(), account=name, change=f"made with role {role}")
        )
    return RedirectResponse("/admin", 303)


@router.post("/admin/users/{name}")
def change_account(
    name: str,
    here: Here,
    who: Checked,
    role: Annotated[str, Form(max_length=32)],
    active: Annotated[bool, Form()] = False,
    password: Annotated[str, Form(max_length=256)] = "",
    codes_off: Annotated[bool, Form()] = False,
) -> Response:
    """Change role, password, or whether it may log in; its sessions end and its tokens with the right to log in.

    `codes_off` is for a lost phone: no code is asked for until its owner sets a new one up.
    """
    require(here, who, "admin")
    _role(role)
    if name == who.name and (role != "admin" or not active):
        raise Refused(409, "own_account", "Nobody takes the administration from their own account.")
    with here.store.begin() as work:
        people = People(work)
        people.change(name, role=role, active=active, password=password)
        if not active:
            people.revoke_tokens(name, now=here.clock())
        if codes_off:
            people.set_one_time_codes(name, "")
        more = (", new password" if password else "") + (", codes off" if codes_off else "")
        change = f"role {role}, {'on' if active else 'off'}{more}"
        AuditTrail(work).append(who.signs(AccountChanged, at=here.clock(), account=name, change=change))
    return RedirectResponse("/admin", 303)


@router.post("/admin/settings")
def change_setting(
    here: Here,
    who: Checked,
    name: Annotated[str, Form(max_length=64)],
    value: Annotated[str, Form(min_length=1, max_length=100)],
) -> Response:
    """Change a setting of the site."""
    require(here, who, "admin")
    if name in _BY_SWITCH:
        raise Refused(422, "setting", "This setting has its own switch.")
    with here.store.begin() as work:
        before = Site(work).set(name, value)
        AuditTrail(work).append(who.signs(SettingChanged, at=here.clock(), name=name, before=before, after=value))
    return RedirectResponse("/admin", 303)


def _role(role: str) -> None:
    if role not in ROLES:
        raise Refused(422, "role", "There is no such role.")
