"""Uploads: a DICOM file or a zip is taken in, read by the same route as any study, and appears in the worklist."""

from __future__ import annotations

import secrets
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import UploadFile

from radiolucent.audit.events import StudyUploaded
from radiolucent.errors import RadiolucentError
from radiolucent.store.audit import AuditTrail
from radiolucent.web.access import Here, Premises, Refused, Someone, Visitor, check_csrf, require
from radiolucent.web.pages import page
from radiolucent.web.sources import read_document

router = APIRouter()
_AT_ONCE = threading.BoundedSemaphore(1)  # one reading takes all cores already
_CHUNK = 1 << 20


@dataclass
class Job:
    """One upload on its way; `outcome` is empty while it runs, then ``read`` or ``refused``."""

    owner: str
    what: str = "waiting"
    done: int = 0
    total: int = 0
    outcome: str = ""
    reason: str = ""
    study: str = ""


_JOBS: dict[str, Job] = {}


@router.get("/upload")
def upload_page(here: Here, who: Someone) -> Response:
    """The form."""
    require(here, who, "upload")
    with here.store.read() as work:
        return page("upload.html.j2", here, who, work, taken=here.read is not None)


@router.post("/upload")
async def upload(
    request: Request, here: Here, who: Someone, x_csrf_token: str = Header(""), sec_fetch_site: str = Header("")
) -> Response:
    """Take one file; the body is looked at only once it is clear who sends it."""
    await run_in_threadpool(require, here, who, "upload")
    if here.read is None or here.uploads is None:
        raise Refused(404, "not_found", "This server takes no uploads.")
    async with request.form(max_files=1, max_fields=2) as form:
        check_csrf(who, str(form.get("csrf", "")) or x_csrf_token, sec_fetch_site)
        sent = form.get("file")
        if not isinstance(sent, UploadFile) or not sent.size:
            raise Refused(422, "empty", "Choose a DICOM file or a zip.")
        # the name that the sender gave is not used: it may hold a path or a patient's name
        number = secrets.token_hex(8)
        folder = here.uploads / f".{number}"
        size = await run_in_threadpool(_keep, sent, folder / "study")
    job = _JOBS[number] = Job(owner=who.name)
    threading.Thread(target=_read, args=(here, who, folder, job, size), daemon=True).start()
    return RedirectResponse(f"/upload/{number}", 303)


@router.get("/upload/{number}")
def progress(number: str, here: Here, who: Someone) -> Response:
    """How far it is; the page asks again until it is done."""
    require(here, who, "upload")
    job = _JOBS.get(number)
    if job is None or job.owner != who.name:
        raise Refused(404, "not_found")
    if job.outcome == "read":
        return RedirectResponse(f"/studies/{job.study}" if job.study else "/worklist", 303)
    with here.store.read() as work:
        return page("uploading.html.j2", here, who, work, job=job, number=number)


def _keep(sent: UploadFile, target: Path) -> int:
    target.parent.mkdir(parents=True)
    size = 0
    with target.open("wb") as stream:
        while chunk := sent.file.read(_CHUNK):
            size += stream.write(chunk)
    return size


def _read(here: Premises, who: Visitor, folder: Path, job: Job, size: int) -> None:
    """Read into the hidden folder, and let it appear at the end; what can't be read is thrown away again."""
    assert here.read is not None

    def report(what: str, done: int, total: int) -> None:
        job.what, job.done, job.total = what, done, total

    try:
        with _AT_ONCE:
            here.read(folder / "study", folder / "reading", report)
        readings, _ = read_document(folder / "reading" / "reading.json")
        uid = readings[0].study_instance_uid if len(readings) == 1 else ""
        folder.rename(folder.with_name(folder.name.removeprefix(".")))
        _finish(here, who, job, size=size, outcome="read", study=uid)
    except RadiolucentError as error:
        shutil.rmtree(folder, ignore_errors=True)
        # the path in the message is ours, not the sender's
        _finish(here, who, job, size=size, outcome="refused", reason=str(error).replace(str(folder), "upload"))
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        _finish(here, who, job, size=size, outcome="refused", reason=f"it could not be read: {type(error).__name__}")
        raise


def _finish(here: Premises, who: Visitor, job: Job, *, size: int, outcome: str, **facts: Any) -> None:
    with here.store.begin() as work:
        AuditTrail(work).append(
            who.signs(StudyUploaded, at=here.clock(), study=facts.get("study", ""), size_bytes=size, outcome=outcome)
        )
    job.reason, job.study = facts.get("reason", ""), facts.get("study", "")
    job.outcome = outcome
