"""STOW-RS (PS3.18 10.5) as plain functions: a body comes in, its objects go to a receiver, a response comes out.

The web server mounts `store_instances`; it needs no more than the request's content type and body.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from radiolucent.errors import BrokenProtocol, OutOfSpace, UnreadableFile
from radiolucent.ingest.multipart import PartsReader, boundary_of
from radiolucent.ingest.receiving import (
    ANSWERS,
    Outcome,
    ReceivedInstance,
    Receiver,
    Way,
    http_status,
    identify,
    is_uid,
)
from radiolucent.ingest.spool import Spool, SpooledFile

LOG: Final = logging.getLogger(__name__)
RESPONSE_TYPE: Final = "application/dicom+json"
MAXIMUM_PARTS: Final = 20_000
_NOWHERE: Final[dict[str, Any]] = {"00081190": {"vr": "UR"}}


@dataclass(frozen=True, kw_only=True)
class Offered:
    """One object of a request and what became of it; `instance` is None where it wasn't understood."""

    outcome: Outcome
    instance: ReceivedInstance | None = None


@dataclass(frozen=True, kw_only=True)
class StowResponse:
    """What the sender is answered: an HTTP status and a body of `RESPONSE_TYPE`, empty where the request was refused.

    Parameters
    ----------
    reason : for people; empty where the status says everything.
    """

    status: int
    body: bytes = b""
    reason: str = ""
    offered: tuple[Offered, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where the objects of STOW-RS requests go, and how large they may be."""

    receiver: Receiver
    spool: Spool
    maximum_part_bytes: int = 4 * 2**30
    maximum_request_bytes: int = 32 * 2**30


def store_instances(
    content_type: str,
    chunks: Iterable[bytes],
    *,
    receiver: Receiver,
    spool: Spool,
    study_instance_uid: str = "",
    sender: str = "",
    peer_address: str = "",
    maximum_part_bytes: int = 4 * 2**30,
) -> StowResponse:
    """Take a STOW-RS request.

    Objects that came before the body broke off stay: they were stored, and the response, if it can still be read, says
    so. The receiver is told that such a request was aborted.

    Parameters
    ----------
    content_type : of the request, ``multipart/related; type="application/dicom"; boundary=…``.
    chunks : the body as it arrives.
    study_instance_uid : of the resource ``/studies/{study}``; objects of other studies are refused. Empty takes all.
    sender : account of the sender, in the place of an AE title (cut to 16 characters); routes can name it.
    """
    association_id = uuid.uuid4().hex
    offered: list[Offered] = []
    if study_instance_uid and not is_uid(study_instance_uid):
        return StowResponse(status=400, reason="the study in the address is no valid UID")
    refusal: StowResponse | None = None
    try:
        reader = PartsReader(boundary_of(content_type), spool, maximum_part_bytes=maximum_part_bytes)
        for part in reader.read(_unbroken(chunks)):
            with part:
                if len(offered) >= MAXIMUM_PARTS:
                    raise BrokenProtocol("more objects than are taken in one request", reason=413)
                offered.append(_offer(part, receiver, association_id, sender, peer_address, study_instance_uid))
    except BrokenProtocol as error:
        refusal = StowResponse(status=error.reason or 400, reason=str(error))
    except (OutOfSpace, OSError) as error:
        LOG.error("a STOW-RS request can't be written: %s", type(error).__name__)
        refusal = StowResponse(status=503, reason="the archive is full: send again later")
    receiver.association_ended(association_id, aborted=refusal is not None)
    if refusal is not None and not any(ANSWERS[one.outcome].accepted for one in offered):
        return refusal
    if not offered:
        return StowResponse(status=400, reason="the request holds no object")
    outcomes = [one.outcome for one in offered]
    status = 202 if refusal is not None else http_status(outcomes)
    return StowResponse(
        status=status,
        body=json.dumps(response_dataset(offered)).encode(),
        reason="" if refusal is None else refusal.reason,
        offered=tuple(offered),
    )


def response_dataset(offered: Iterable[Offered]) -> dict[str, Any]:
    """The Store Instances Response Module (PS3.18 table 10.5.3-2) in the DICOM JSON Model.

    Retrieve URL, of the study and of each object, is of type 2: it is there and empty, since nothing that was taken in
    can be had back here.
    """
    stored: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for one in offered:
        answer = ANSWERS[one.outcome]
        reason = {"00081197": {"vr": "US", "Value": [answer.dimse_status]}}
        if one.instance is None:
            others.append(reason)
        elif answer.accepted:
            stored.append(_reference(one.instance) | _NOWHERE)
        else:
            failed.append(_reference(one.instance) | reason)
    sequences = (("00081199", stored), ("00081198", failed), ("0008119A", others))
    return _NOWHERE | {tag: {"vr": "SQ", "Value": items} for tag, items in sequences if items}


def _offer(
    part: SpooledFile,
    receiver: Receiver,
    association_id: str,
    sender: str,
    peer_address: str,
    study_instance_uid: str,
) -> Offered:
    instance: ReceivedInstance | None = None
    try:
        instance = identify(
            part.path,
            way=Way.STOW_RS,
            association_id=association_id,
            calling_ae=sender[:16],
            peer_address=peer_address,
        )
        if study_instance_uid not in ("", instance.study_instance_uid):
            return Offered(outcome=Outcome.NOT_UNDERSTOOD, instance=instance)
        return Offered(outcome=receiver.receive(instance), instance=instance)
    except UnreadableFile as error:
        LOG.warning("an object of a STOW-RS request can't be understood: %s", error.code)
        return Offered(outcome=Outcome.NOT_UNDERSTOOD)
    except Exception as error:  # noqa: BLE001 - whatever fails in a receiver, the sender must hear that it failed
        LOG.error("an object of a STOW-RS request was not kept: %s", type(error).__name__)
        return Offered(outcome=Outcome.FAILED, instance=instance)


def _reference(instance: ReceivedInstance) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [instance.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [instance.sop_instance_uid]},
    }


def _unbroken(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give the chunks on; a body that breaks off is a broken request like any other."""
    try:
        yield from chunks
    except (ConnectionError, TimeoutError) as error:
        raise BrokenProtocol("the body broke off", reason=400) from error
