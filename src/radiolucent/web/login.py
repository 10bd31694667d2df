"""Coming in and going out: login, logout, one's own account, and whether the server is alive."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Header, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from radiolucent.audit.events import AccountChanged, LoggedIn, LoggedOut, LoginFailed
from radiolucent.store.audit import AuditTrail
from radiolucent.store.one_time_codes import address, matching_step, new_secret
from radiolucent.store.people import People
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import (
    COOKIE,
    LADDER,
    Checked,
    Here,
    Owner,
    Premises,
    Refused,
    Someone,
    Visitor,
    address_of,
    require,
)
from radiolucent.web.pages import page
from radiolucent.web.sessions import give_session, own_path

router = APIRouter()
Secret = Annotated[str, Form(max_length=256)]
Code = Annotated[str, Form(max_length=16)]


@router.get("/")
def start() -> Response:
    """The worklist is where work starts."""
    return RedirectResponse("/worklist", 303)


@router.get("/healthz")
def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def ready(here: Here) -> dict[str, str]:
    """The database answers."""
    with here.store.read() as work:
        Site(work).setting("site_name")
    return {"status": "ok"}


@router.get("/login")
def login_page(here: Here, next: str = "/worklist") -> Response:
    """The form."""
    with here.store.read() as work:
        return page("login.html.j2", here, None, work, target=own_path(next), refused="", **_ways_in(here))


@router.post("/login")
def log_in(
    request: Request,
    here: Here,
    name: Annotated[str, Form(max_length=128)],
    password: Secret,
    code: Code = "",
    target: Annotated[str, Form(max_length=512)] = "/worklist",
    sec_fetch_site: Annotated[str, Header()] = "",
) -> Response:
    """Check name, password and code; every attempt is in the trail."""
    now, peer = here.clock(), address_of(request)
    if sec_fetch_site not in ("", "same-origin", "none"):
        raise Refused(403, "csrf")
    if not here.crowds.allows(peer, now=now) or not here.logins.allows(f"{peer} {name}", now=now):
        with here.store.begin() as work:
            AuditTrail(work).append(LoginFailed(at=now, actor="unknown", address=peer, reason="rate"))
        raise Refused(429, "rate")
    with here.store.begin() as work:
        people, trail = People(work), AuditTrail(work)
        login = people.log_in(name, password, now=now, code=code)
        if login.account is None:
            # what was typed as a name may be a password: it is written down only where it is an account
            known = name if people.get(name) else "unknown"
            trail.append(LoginFailed(at=now, actor=known, address=peer, reason=login.refused or ""))
            return page(
                "login.html.j2",
                here,
                None,
                work,
                status=401,
                target=own_path(target),
                refused=login.refused,
                **_ways_in(here),
            )
        secret = people.open_session(name, now=now)
        method = "password and code" if login.account.two_factor else "password"
        trail.append(LoggedIn(at=now, actor=name, role=login.account.role, address=peer, method=method))
    return give_session(RedirectResponse(own_path(target), 303), here, secret)


@router.post("/logout")
def log_out(request: Request, here: Here, who: Checked) -> Response:
    """End this session."""
    with here.store.begin() as work:
        People(work).close_session(request.cookies.get(COOKIE, ""))
        AuditTrail(work).append(who.signs(LoggedOut, at=here.clock()))
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path="/")
    return answer


@router.get("/me")
def me(who: Someone) -> Response:
    """Who is logged in."""
    return JSONResponse({"name": who.name, "display_name": who.display_name, "role": who.role})


@router.get("/account")
def account(here: Here, who: Someone) -> Response:
    """One's own account: password, codes, tokens."""
    require(here, who, "account")
    with here.store.read() as work:
        return _account_page(here, who, work)


@router.post("/account/password")
def change_password(here: Here, who: Owner, old: Secret, new: Secret) -> Response:
    """Change one's own password; all sessions end, this one too."""
    _prove(here, who, old)
    with here.store.begin() as work:
        People(work).change(who.name, password=new)
        AuditTrail(work).append(who.signs(AccountChanged, at=here.clock(), account=who.name, change="password"))
    return RedirectResponse("/login", 303)


@router.post("/account/codes")
def start_codes(here: Here, who: Owner) -> Response:
    """Offer a new secret; it counts once a code of it came back."""
    secret = new_secret()
    with here.store.begin() as work:
        AuditTrail(work).append(who.signs(AccountChanged, at=here.clock(), account=who.name, change="codes offered"))
        link = address(secret, account=who.name, site=Site(work).setting("site_name"))
        return _account_page(here, who, work, secret=secret, address=link)


@router.post("/account/codes/confirm")
def confirm_codes(
    here: Here, who: Owner, secret: Annotated[str, Form(max_length=64)], code: Code, password: Secret
) -> Response:
    """Ask for codes at login from now on; this one is used up."""
    _prove(here, who, password)
    step = matching_step(secret, code, here.clock())
    if step is None:
        raise Refused(422, "code", "This code doesn't belong to the new secret: check the clock of the phone.")
    with here.store.begin() as work:
        People(work).set_one_time_codes(who.name, secret, used=step)
        AuditTrail(work).append(who.signs(AccountChanged, at=here.clock(), account=who.name, change="codes on"))
    return RedirectResponse("/account", 303)


@router.post("/account/codes/off")
def end_codes(here: Here, who: Owner, password: Secret) -> Response:
    """Ask for no codes at login any more."""
    _prove(here, who, password)
    with here.store.begin() as work:
        People(work).set_one_time_codes(who.name, "")
        AuditTrail(work).append(who.signs(AccountChanged, at=here.clock(), account=who.name, change="codes off"))
    return RedirectResponse("/account", 303)


@router.post("/account/tokens")
def make_token(
    here: Here, who: Owner, label: Annotated[str, Form(max_length=100)], role: Annotated[str, Form(max_length=32)]
) -> Response:
    """Make an API token; its secret is shown this once."""
    if role not in token_roles(who.role):
        raise Refused(422, "role", "A token can't do what its account may not.")
    with here.store.begin() as work:
        token = People(work).make_token(who.name, label=label, role=role, now=here.clock())
        AuditTrail(work).append(
            who.signs(AccountChanged, at=here.clock(), account=who.name, change=f"token of role {role}")
        )
        return _account_page(here, who, work, token=token)


@router.post("/account/tokens/{number}/revoke")
def revoke_token(number: str, here: Here, who: Owner) -> Response:
    """Revoke one of one's own tokens, at once."""
    with here.store.begin() as work:
        if not People(work).revoke_token(who.name, number, now=here.clock()):
            raise Refused(404, "not_found", "You have no such token.")
        AuditTrail(work).append(
            who.signs(AccountChanged, at=here.clock(), account=who.name, change=f"token {number} revoked")
        )
    return RedirectResponse("/account", 303)


def token_roles(role: str) -> tuple[str, ...]:
    """The roles that a token of such an account may have, the least first.

    >>> token_roles("radiologist"), token_roles("auditor")
    (('viewer', 'resident', 'radiologist'), ('auditor',))
    """
    return LADDER[: LADDER.index(role) + 1] if role in LADDER else (role,)


def _prove(here: Premises, who: Visitor, password: str) -> None:
    """Who changes how one comes in says the password once more: a session may be somebody else's by now. Or `Refused`.

    Wrong ones are counted as at the login, and written down.
    """
    now = here.clock()
    reason = "" if here.logins.allows(f"{who.address} {who.name}", now=now) else "rate"
    with here.store.begin() as work:
        if not reason and not People(work).knows(who.name, password):
            reason = "credentials"
        if reason:
            AuditTrail(work).append(who.signs(LoginFailed, at=now, reason=reason))
    if reason:
        words = "" if reason == "rate" else "The present password is not right."
        raise Refused(429 if reason == "rate" else 403, reason, words)


def _account_page(
    here: Premises, who: Visitor, work: Work, *, secret: str = "", address: str = "", token: str = ""
) -> Response:
    return page(
        "account.html.j2",
        here,
        who,
        work,
        secret=secret,
        address=address,
        token=token,
        tokens=People(work).tokens(who.name, now=here.clock()),
        token_roles=token_roles(who.role),
    )


def _ways_in(here: Premises) -> dict[str, Any]:
    provider = here.single_sign_on.provider.label if here.single_sign_on else ""
    return {"accounts": here.demo_accounts, "provider": provider, "reason": ""}
