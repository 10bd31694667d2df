"""STOW-RS (PS3.18 10.5): what a sender posts goes to the gateway's receiver, as what comes to the listener does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from radiolucent.errors import BrokenProtocol
from radiolucent.ingest.dicomweb import RESPONSE_TYPE, Door, StowResponse, store_instances
from radiolucent.web.access import Here, Refused, address_of, require, visitor

router = APIRouter()
ROOT: Final = "/dicom-web/"
AT_ONCE: Final = 8
SILENCE_S: Final = 60.0
"""A sender that is silent for so long in the middle of its request has gone."""
_PLACES: Final = threading.BoundedSemaphore(AT_ONCE)
_ACCEPTED: Final = ("*/*", "application/*", "application/json", RESPONSE_TYPE)


@router.post(ROOT + "studies")
@router.post(ROOT + "studies/{study}")
async def store(
    request: Request,
    here: Here,
    study: str = "",
    authorization: Annotated[str, Header()] = "",
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """Take the objects of one request; the body is looked at only once it is clear who sends it.

    A sender is known by an API token alone: a cookie would let another site's page send in a reader's name.
    """
    door = here.stow
    if door is None:
        raise Refused(404, "not_found", "This server takes no STOW-RS requests.")
    if not authorization.startswith("Bearer "):
        words = {"code": "token_required", "reason": "Send the API token of a sender: Authorization: Bearer …"}
        return JSONResponse(words, 401, {"WWW-Authenticate": "Bearer"})
    who = await run_in_threadpool(visitor, request, here, authorization)
    await run_in_threadpool(require, here, who, "send")
    if not any(kind.partition(";")[0].strip().lower() in _ACCEPTED for kind in accept.split(",")):
        raise Refused(406, "accept", f"Answers are {RESPONSE_TYPE}.")
    if not _PLACES.acquire(blocking=False):
        return _later("Too many senders at once: send again.")
    try:
        chunks = _chunks(request.stream(), asyncio.get_running_loop())
        told = await run_in_threadpool(
            _store, door, request.headers.get("content-type", ""), chunks, study, who.name, address_of(request)
        )
    finally:
        _PLACES.release()
    return _answer(told)


def _store(
    door: Door, content_type: str, chunks: Iterator[bytes], study: str, sender: str, address: str
) -> StowResponse:
    return store_instances(
        content_type,
        chunks,
        receiver=door.receiver,
        spool=door.spool,
        study_instance_uid=study,
        sender=sender,
        peer_address=address,
        maximum_part_bytes=door.maximum_part_bytes,
    )


def _answer(told: StowResponse) -> Response:
    if not told.body:
        if told.status == 503:
            return _later(told.reason)
        return JSONResponse({"code": "refused", "reason": told.reason}, told.status)
    headers = {"Warning": f'299 radiolucent "{told.reason}"'} if told.reason else None
    return Response(told.body, told.status, headers, media_type=RESPONSE_TYPE)


def _later(reason: str) -> Response:
    return JSONResponse({"code": "later", "reason": reason}, 503, {"Retry-After": "30"})


def _chunks(stream: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """The body as it arrives, for a thread: each piece is asked of the loop that receives it."""

    async def following() -> bytes | None:
        return await asyncio.wait_for(anext(stream, None), SILENCE_S)

    while True:
        try:
            chunk = asyncio.run_coroutine_threadsafe(following(), loop).result()
        except ClientDisconnect as error:
            raise ConnectionError("the sender has gone") from error
        except Refused as error:
            raise BrokenProtocol("the request is larger than is taken here", reason=error.status) from error
        if chunk is None:
            return
        if chunk:
            yield chunk
