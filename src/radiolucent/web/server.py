"""The app: its routes, the headers on every answer, the size of every question, and how errors look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from radiolucent import __version__
from radiolucent.errors import RadiolucentError, SenderError, SetupError
from radiolucent.store.site import Site
from radiolucent.web import (
    administration,
    alerts,
    amending,
    audit,
    comparing,
    decisions,
    explaining,
    images,
    interface,
    login,
    monitoring,
    nodes,
    practice,
    queues,
    replaying,
    reporting,
    rollout,
    sign_on,
    stow,
    study,
    thresholds,
    training,
    trust_rules,
    upload,
    viewed,
    worklist,
)
from radiolucent.web.access import LogInFirst, Premises, Refused, visitor
from radiolucent.web.doors import AT_THE_DOOR
from radiolucent.web.pages import page

STATIC: Final = Path(__file__).parent / "static"
MOST_BYTES: Final = 1 << 20
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
"""On every answer. Pages carry no inline script or style, so the policy needs no exception."""
_WORDS: Final = {
    "role": "Your role may not do this.",
    "csrf": "This form is too old or came from elsewhere. Reload the page and try again.",
    "training_required": "Heatmaps are shown after the training. It is under Training.",
    "profile": "At this site this finding may not be localised.",
    "not_found": "There is no such page or study.",
    "login_required": "Log in first.",
    "rate": "Too many attempts. Wait a minute.",
    "too_large": "This is larger than what is taken here.",
    "fault": "Something is wrong on this server. Try again; if it stays, tell who runs it, with the time.",
}
_STATUS: Final[tuple[tuple[type[RadiolucentError], int], ...]] = (
    (SenderError, 422),
    (SetupError, 409),
    (RadiolucentError, 500),
)


def create_app(premises: Premises) -> FastAPI:
    """The web app of one site.

    Parameters
    ----------
    premises : store, source of studies, engines, and what the site allows.
    """
    app = FastAPI(
        title="radiolucent",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[AT_THE_DOOR],
    )
    app.state.premises = premises
    with premises.store.begin() as work:
        for engine in premises.engines:
            Site(work).enter(engine.name, now=premises.clock())
    for module in (
        login,
        sign_on,
        worklist,
        alerts,
        study,
        decisions,
        amending,
        reporting,
        images,
        interface,
        comparing,
        explaining,
        viewed,
        replaying,
        trust_rules,
        upload,
        training,
        practice,
        rollout,
        audit,
        administration,
        nodes,
        queues,
        thresholds,
        monitoring,
        stow,
    ):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _answers(app)
    stow_bytes = premises.stow.maximum_request_bytes if premises.stow else MOST_BYTES
    app.add_middleware(_Edge, secure=premises.secure_cookies, stow_bytes=stow_bytes)
    return app


class _Edge:
    """Adds the headers to every answer, and stops a body that is larger than its route takes."""

    def __init__(self, app: ASGIApp, *, secure: bool, stow_bytes: int) -> None:
        self._app, self._stow_bytes = app, stow_bytes
        self._headers = HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = upload.MOST_BYTES if scope["path"] == "/upload" else MOST_BYTES
        most = self._stow_bytes if scope["path"].startswith(stow.ROOT) else most
        sent = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        begun = False

        async def following(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        answer = self._answering(scope["path"], following)
        if not sent.isdigit() or int(sent) > most:
            await JSONResponse({"code": "too_large", "reason": _WORDS["too_large"]}, 413)(scope, receive, answer)
            return
        try:
            await self._app(scope, _counting(receive, most), answer)
        except Exception:
            if not begun:  # what would come from outside of here has no headers
                await JSONResponse({"code": "fault", "reason": _WORDS["fault"]}, 500)(scope, receive, answer)
            raise

    def _answering(self, path: str, send: Send) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                wanted = dict(self._headers)
                wanted["Cache-Control"] = "no-cache" if path.startswith("/static/") else "no-store"
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in wanted.items() if k.lower().encode() not in present),
                ]
            await send(message)

        return answer


def _counting(receive: Receive, most: int) -> Receive:
    """A body sent in chunks has no length to look at beforehand."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise Refused(413, "too_large")
        return message

    return counted


def _answers(app: FastAPI) -> None:
    """What people and programs are told when the answer isn't what they asked for."""

    def tell(request: Request, status: int, code: str, reason: str = "") -> Response:
        words = reason or _WORDS.get(code, "The request could not be answered.")
        if request.url.path.startswith("/api/") or "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"code": code, "reason": words}, status)
        return _error_page(request, status, words)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return tell(request, error.status, error.code, error.reason)

    async def log_in(request: Request, error: Exception) -> Response:
        assert isinstance(error, LogInFirst)
        target = f"/login?next={error.target}"
        if request.headers.get("hx-request"):
            return Response(status_code=204, headers={"HX-Redirect": target})
        return RedirectResponse(target, 303)

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, RadiolucentError)
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        return tell(request, status, type(error).__name__, str(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return tell(request, error.status_code, "not_found" if error.status_code == 404 else "http", "")

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        places = sorted({".".join(str(part) for part in one["loc"][1:]) for one in error.errors()})
        return tell(request, 422, "invalid", f"missing or not valid: {', '.join(places)}")

    handlers: dict[Any, Callable[[Request, Exception], Any]] = {
        Refused: refused,
        LogInFirst: log_in,
        RadiolucentError: ours,
        HTTPException: http,
        RequestValidationError: invalid,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _error_page(request: Request, status: int, words: str) -> Response:
    here: Premises = request.app.state.premises
    try:
        who = visitor(request, here)
    except (LogInFirst, Refused):
        who = None
    with here.store.read() as work:
        return page("error.html.j2", here, who, work, status=status, reason=words)
