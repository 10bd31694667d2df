"""Who is behind a request, and whether the table lets them: asked on every route, written down where it refuses."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Depends, Form, Header, Request

from radiolucent.app.office import Office
from radiolucent.audit.events import AccessDenied, Event
from radiolucent.engines.bundle import Bundle
from radiolucent.findings.narrative import PLAIN, Voice
from radiolucent.findings.profile import Profile, default_profile, narrowed
from radiolucent.findings.reading import EngineRef
from radiolucent.ingest.dicomweb import Door
from radiolucent.rollout.phases import PHASES, Phase, PhaseRow, PhaseTable, as_phase, default_phases
from radiolucent.rollout.policy import Route, Verdict, decide, state_of
from radiolucent.store.audit import AuditTrail
from radiolucent.store.people import People, Session
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Store, Work
from radiolucent.web.explanation_desk import Desk
from radiolucent.web.single_sign_on import SingleSignOn
from radiolucent.web.sources import Source

COOKIE: Final = "radiolucent_session"
BASE: Final = "base-1"
"""Edition of the training: a new number when its content changes so much that it must be done again."""
LADDER: Final = ("viewer", "resident", "radiologist", "lead", "admin")
ATTEMPTS_PER_MINUTE: Final = 10
"""For one account from one address."""
ATTEMPTS_OF_ALL: Final = 100
"""From one address in all: behind a proxy a whole hospital has one, and a shift begins at once."""
POLLED: Final = ("/bell", "/news")
"""What a page asks for by itself: no sign that somebody is there, so it keeps no session alive."""


class Refused(Exception):
    """The answer is no: an HTTP status, and a stable code for programs."""

    def __init__(self, status: int, code: str, reason: str = "") -> None:
        self.status, self.code, self.reason = status, code, reason
        super().__init__(code)


class LogInFirst(Exception):
    """Nobody is logged in; after the login the browser goes to `target`."""

    def __init__(self, target: str) -> None:
        self.target = target
        super().__init__("log in first")


@dataclass(frozen=True, kw_only=True)
class Limiter:
    """At most so many attempts a minute, by key."""

    most: int = ATTEMPTS_PER_MINUTE
    window_s: float = 60.0
    _times: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allows(self, key: str, *, now: datetime) -> bool:
        """Count an attempt; False where there were too many."""
        moment = now.timestamp()
        with self._lock:
            if len(self._times) > 10_000:  # forget the quiet ones
                for other in [k for k, times in self._times.items() if times[-1] < moment - self.window_s]:
                    del self._times[other]
            times = self._times[key]
            while times and times[0] <= moment - self.window_s:
                times.popleft()
            if len(times) >= self.most:
                return False
            times.append(moment)
            return True


class Searches:
    """What was searched for, under names that say nothing: a patient's number belongs into no address.

    Kept in memory, the last `most` of all accounts; each is for the account that asked.
    """

    def __init__(self, most: int = 2000) -> None:
        self._most, self._lock = most, threading.Lock()
        self._texts: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def keep(self, text: str, account: str) -> str:
        """A name for this text."""
        name = secrets.token_hex(8)
        with self._lock:
            self._texts[name] = (account, text)
            while len(self._texts) > self._most:
                self._texts.popitem(last=False)
        return name

    def text(self, name: str, account: str) -> str:
        """The text of this name; empty where it is unknown or another account's."""
        with self._lock:
            owner, text = self._texts.get(name, ("", ""))
        return text if owner == account else ""


Reader = Callable[[Path, Path, Callable[[str, int, int], None]], None]


@dataclass(frozen=True, kw_only=True)
class Premises:
    """What every request works with.

    Parameters
    ----------
    engines : those that are installed, so that roll-out and training can name them before their first reading.
    limits : by engine label, what it can't do; from its card.
    voice : language of draft reports, and the site's own templates.
    read : reads what lies under a path into a new folder, with progress; None where uploads aren't taken.
    uploads : folder of uploads, one the `source` looks into.
    desk : makes explanations on request; None where there are none.
    office : what the administration may ask of the gateway; None where there is none.
    bundles : the engines' own files, for cards and thresholds.
    logins, crowds : how many attempts a minute are let through, of one account and of all, from one address.
    single_sign_on : logins through a provider; None where there are local accounts alone.
    public_url : address of the pages as browsers have it, where a proxy stands before them.
    stow : where STOW-RS requests go; None where none are taken.
    """

    store: Store
    source: Source
    engines: tuple[EngineRef, ...] = ()
    limits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    voice: Voice = PLAIN
    read: Reader | None = None
    uploads: Path | None = None
    desk: Desk | None = None
    profile: Profile = field(default_factory=default_profile)
    phases: PhaseTable = field(default_factory=default_phases)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    logins: Limiter = field(default_factory=Limiter)
    crowds: Limiter = field(default_factory=lambda: Limiter(most=ATTEMPTS_OF_ALL))
    searches: Searches = field(default_factory=Searches)
    secure_cookies: bool = False
    demo_accounts: tuple[tuple[str, str, str], ...] = ()
    stow: Door | None = None
    office: Office | None = None
    bundles: tuple[Bundle, ...] = ()
    single_sign_on: SingleSignOn | None = None
    public_url: str = ""


def premises(request: Request) -> Premises:
    """The premises of the running app."""
    found: Premises = request.app.state.premises
    return found


Here = Annotated[Premises, Depends(premises)]


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Who is behind this request."""

    name: str
    display_name: str
    role: str
    csrf: str
    address: str
    two_factor: bool = False

    def signs(self, kind: type[Event], *, at: datetime, study: str = "", **facts: Any) -> Event:
        """An event of this visitor."""
        return kind(at=at, actor=self.name, role=self.role, address=self.address, study_instance_uid=study, **facts)


def address_of(request: Request) -> str:
    """The peer's address as the socket has it; forwarded headers are not believed."""
    return request.client.host if request.client else ""


def visitor(request: Request, here: Here, authorization: Annotated[str, Header()] = "") -> Visitor:
    """Who is logged in, by cookie or by bearer token. Raises `LogInFirst` or `Refused`."""
    known = getattr(request.state, "visitor", None)
    if isinstance(known, Visitor):  # the door has asked already
        return known
    now = here.clock()
    cookie = request.cookies.get(COOKIE, "")
    with here.store.read() as work:
        if authorization.startswith("Bearer "):
            session = People(work).token(authorization.removeprefix("Bearer "), now=now)
        else:
            session = People(work).session(cookie, now=now) if cookie else None
    if session is None:
        if request.url.path.startswith("/api/") or authorization:
            raise Refused(401, "login_required")
        target = request.url.path if request.method == "GET" else "/worklist"
        raise LogInFirst(quote(target))
    if cookie and session.csrf and not request.url.path.endswith(POLLED):
        _keep_alive(here, cookie, now)
    return _visitor(session, address_of(request))


def _keep_alive(here: Premises, cookie: str, now: datetime) -> None:
    with here.store.read() as work:
        due = People(work).is_due(cookie, now=now)
    if due:
        with here.store.begin() as work:
            People(work).seen(cookie, now=now)


def _visitor(session: Session, address: str) -> Visitor:
    account = session.account
    return Visitor(
        name=account.name,
        display_name=account.display_name,
        role=_lower(session.role, account.role),
        csrf=session.csrf,
        address=address,
        two_factor=account.two_factor,
    )


def _lower(token: str, account: str) -> str:
    """A token's role never exceeds its account's: that may have been lowered since. What is no role gets the least."""
    if token == account:
        return account
    if token in LADDER and account in LADDER:
        return min(token, account, key=LADDER.index)
    return "viewer" if account in LADDER else account


Someone = Annotated[Visitor, Depends(visitor)]


def checked(
    who: Someone,
    csrf: Annotated[str, Form()] = "",
    x_csrf_token: Annotated[str, Header()] = "",
    sec_fetch_site: Annotated[str, Header()] = "",
) -> Visitor:
    """A visitor whose request came from our own page: for everything that changes something."""
    check_csrf(who, csrf or x_csrf_token, sec_fetch_site)
    return who


def check_csrf(who: Visitor, given: str, sec_fetch_site: str) -> None:
    """Raise `Refused` where the form's token isn't the session's. An API token has none and sends no cookie."""
    if sec_fetch_site not in ("", "same-origin", "none"):
        raise Refused(403, "csrf")
    if who.csrf and not hmac.compare_digest(given.encode(), who.csrf.encode()):
        raise Refused(403, "csrf")


def told(
    who: Someone, x_csrf_token: Annotated[str, Header()] = "", sec_fetch_site: Annotated[str, Header()] = ""
) -> Visitor:
    """The same for a JSON body: the token comes in a header."""
    check_csrf(who, x_csrf_token, sec_fetch_site)
    return who


Checked = Annotated[Visitor, Depends(checked)]
Told = Annotated[Visitor, Depends(told)]


def owner(who: Checked) -> Visitor:
    """A visitor with a session: a token reads and sends, but changes nothing of the account that it was made for."""
    if not who.csrf:
        raise Refused(403, "token", "An account is changed by its owner who is logged in, not by a token.")
    return who


Owner = Annotated[Visitor, Depends(owner)]


def require(here: Premises, who: Visitor, route: Route, *, study: str = "") -> None:
    """Raise `Refused`, and write it down, unless the role may use this route at all."""
    verdict = decide(route=route, role=who.role, state="routine", trained=True, use="localise")
    if not verdict.allowed:
        deny(here, who, route, verdict.code, study=study)


def deny(here: Premises, who: Visitor, route: str, code: str, *, study: str = "") -> None:
    """Write the refusal down and raise it. By phase is like not being there; all else is forbidden."""
    with here.store.begin() as work:
        AuditTrail(work).append(who.signs(AccessDenied, at=here.clock(), study=study, route=route, code=code))
    raise Refused(404 if code == "phase" else 403, "not_found" if code == "phase" else code)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What this visitor may see of the AI, as one moment has it."""

    who: Visitor
    stopped: bool
    phases: dict[str, str]
    trained_base: bool
    majors: dict[str, str]
    profile: Profile
    table: PhaseTable

    def verdict(self, route: Route, engine: EngineRef, finding: str = "") -> Verdict:
        """Ask the table, for a result of this engine."""
        return decide(
            route=route,
            role=self.who.role,
            state=state_of(self.phase(engine.name), stopped=self.stopped),
            trained=self.trained(engine),
            use=self.profile.use(finding) if finding else "localise",
        )

    def allows(self, route: Route, engine: EngineRef, finding: str = "") -> bool:
        """Whether the table says yes."""
        return self.verdict(route, engine, finding).allowed

    def phase(self, engine: str) -> Phase:
        """The phase of an engine; shadow where nobody has set one."""
        return as_phase(self.phases.get(engine, ""))

    def trained(self, engine: EngineRef) -> bool:
        """The whole training once, and for a new major version of an engine its refresher."""
        return self.trained_base and self.majors.get(engine.name) == major(engine)

    def badge(self) -> PhaseRow | None:
        """The row of the earliest phase that any engine is in; None once the AI is stopped."""
        if self.stopped:
            return None
        present = [self.phase(engine) for engine in self.phases] or [PHASES[0]]
        return self.table.row(min(present, key=PHASES.index))


def major(engine: EngineRef) -> str:
    """First part of the version: a new one asks for a refresher."""
    return engine.version.split(".", 1)[0]


def gate(here: Premises, who: Visitor, work: Work) -> Gate:
    """What this visitor may see now."""
    site = Site(work)
    progress = site.progress(who.name, BASE)
    return Gate(
        who=who,
        stopped=bool(site.setting("ai_stopped")),
        phases=site.phases(),
        trained_base=progress.passed_at is not None,
        majors={name: str(value) for name, value in dict(progress.done.get("majors", {})).items()},
        profile=narrowed(here.profile, site.profile_uses()),
        table=here.phases,
    )
