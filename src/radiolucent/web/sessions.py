"""A session's cookie, and where a login may lead."""

from __future__ import annotations

from fastapi.responses import Response

from radiolucent.store.people import LONGEST_SESSION
from radiolucent.web.access import COOKIE, Premises


def give_session(answer: Response, here: Premises, secret: str) -> Response:
    """The answer with the cookie of a new session: for this site alone, and out of reach of scripts."""
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=int(LONGEST_SESSION.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=here.secure_cookies,
        path="/",
    )
    return answer


def own_path(target: str) -> str:
    r"""Only a path of this server: an address elsewhere would make the login a trap.

    Browsers read a backslash as a slash, and leave out tabs and line breaks: none of them may be in it.

    >>> own_path("/studies/1.2"), own_path("//elsewhere.example"), own_path("/\\elsewhere.example")
    ('/studies/1.2', '/worklist', '/worklist')
    >>> own_path("/\t/elsewhere.example")
    '/worklist'
    """
    plain = target.isascii() and target.isprintable() and "\\" not in target
    return target if plain and target.startswith("/") and not target.startswith("//") else "/worklist"
