"""Coming in through the hospital's own provider: away to it, back from it, and an account that follows what it says."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from radiolucent.audit.events import AccountChanged, LoggedIn, LoginFailed
from radiolucent.errors import SetupError
from radiolucent.store.audit import AuditTrail
from radiolucent.store.people import People
from radiolucent.web.access import Here, Premises, Refused, address_of
from radiolucent.web.pages import page
from radiolucent.web.sessions import give_session, own_path
from radiolucent.web.single_sign_on import ATTEMPT, Person, SignOnFailed, SingleSignOn

router = APIRouter()
COOKIE: Final = "radiolucent_sign_on"
PLACE: Final = "/login/provider"


@router.get(PLACE)
def go(request: Request, here: Here, next: Annotated[str, Query(max_length=512)] = "/worklist") -> Response:
    """Away to the provider."""
    sign_on, now = _sign_on(here), here.clock()
    if not here.crowds.allows(address_of(request), now=now):
        raise Refused(429, "rate")
    try:
        address, browser = sign_on.begin(target=own_path(next), redirect=_redirect(request, here), now=now)
    except SignOnFailed as error:
        return _refused(request, here, error.reason)
    answer = RedirectResponse(address, 303)
    # lax: the browser comes back from the provider's site and must bring it along
    answer.set_cookie(
        COOKIE,
        browser,
        max_age=int(ATTEMPT.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=here.secure_cookies,
        path=PLACE,
    )
    return answer


@router.get(f"{PLACE}/back")
def back(
    request: Request,
    here: Here,
    state: Annotated[str, Query(max_length=512)] = "",
    code: Annotated[str, Query(max_length=4096)] = "",
    error: Annotated[str, Query(max_length=512)] = "",
) -> Response:
    """Back from the provider: the account follows what it said, and a session begins."""
    sign_on, now = _sign_on(here), here.clock()
    if not here.crowds.allows(address_of(request), now=now):
        raise Refused(429, "rate")
    try:
        if error or not code:
            raise SignOnFailed("the provider let nobody in")
        person, target = sign_on.finish(state=state, code=code, browser=request.cookies.get(COOKIE, ""), now=now)
        secret = _let_in(request, here, person)
    except SignOnFailed as failed:
        return _refused(request, here, failed.reason)
    with here.store.read() as work:
        # a page of ours in between: a strict cookie isn't sent along on the way back from another site
        answer = page("signed_on.html.j2", here, None, work, target=target)
    answer.delete_cookie(COOKIE, path=PLACE)
    return give_session(answer, here, secret)


def _let_in(request: Request, here: Premises, person: Person) -> str:
    now, peer = here.clock(), address_of(request)
    with here.store.begin() as work:
        people, trail = People(work), AuditTrail(work)
        try:
            change = people.follow(
                person.name,
                identity=person.identity,
                role=person.role,
                display_name=person.display_name,
                now=now,
            )
        except SetupError as error:
            raise SignOnFailed(str(error)) from error
        if change:
            trail.append(AccountChanged(at=now, address=peer, account=person.name, change=f"{change}, by the provider"))
        secret = people.open_session(person.name, now=now)
        trail.append(LoggedIn(at=now, actor=person.name, role=person.role, address=peer, method="provider"))
    return secret


def _refused(request: Request, here: Premises, reason: str) -> Response:
    with here.store.begin() as work:
        AuditTrail(work).append(
            LoginFailed(at=here.clock(), actor="unknown", address=address_of(request), reason=f"provider: {reason}")
        )
        return page(
            "login.html.j2",
            here,
            None,
            work,
            status=401,
            target="/worklist",
            refused="provider",
            reason=reason,
            accounts=here.demo_accounts,
            provider=_sign_on(here).provider.label,
        )


def _sign_on(here: Premises) -> SingleSignOn:
    if here.single_sign_on is None:
        raise Refused(404, "not_found")
    return here.single_sign_on


def _redirect(request: Request, here: Premises) -> str:
    base = here.public_url or str(request.base_url)
    return f"{base.rstrip('/')}{PLACE}/back"
