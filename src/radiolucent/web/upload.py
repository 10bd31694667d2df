"""Uploads: a DICOM file or a zip is taken in, read by the same route as any study, and appears in the worklist."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import UploadFile

from radiolucent.audit.events import StudyUploaded
from radiolucent.errors import RadiolucentError
from radiolucent.store.audit import AuditTrail
from radiolucent.store.states import STUDY_STATES, names
from radiolucent.store.studies import Studies
from radiolucent.web.access import Here, Premises, Refused, Someone, Visitor, check_csrf, require
from radiolucent.web.pages import page
from radiolucent.web.sources import read_document

router = APIRouter()
MOST_BYTES: Final = 2 << 30
_AT_ONCE = threading.BoundedSemaphore(1)  # one reading takes all cores already
_CHUNK: Final = 1 << 20
_REMEMBERED: Final = 500
_JSON: Final = "application/json"


@dataclass
class Job:
    """One upload on its way.

    `outcome` is empty while it is looked at, then ``read``, ``taken`` (a gateway has it and will read it) or
    ``refused``. `study` is empty where there are several.
    """

    owner: str
    what: str = "waiting"
    done: int = 0
    total: int = 0
    outcome: str = ""
    reason: str = ""
    study: str = ""


class Jobs:
    """The last uploads, by number; a restart forgets them, what they brought is in the worklist all the same."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, number: str, job: Job) -> Job:
        with self._lock:
            self._jobs[number] = job
            while len(self._jobs) > _REMEMBERED:
                self._jobs.popitem(last=False)
        return job

    def get(self, number: str) -> Job | None:
        with self._lock:
            return self._jobs.get(number)


_JOBS = Jobs()


@router.get("/upload")
def upload_page(here: Here, who: Someone) -> Response:
    """The form."""
    require(here, who, "upload")
    with here.store.read() as work:
        return page("upload.html.j2", here, who, work, taken=_folder(here) is not None, most=MOST_BYTES)


@router.post("/upload")
async def upload(
    request: Request,
    here: Here,
    who: Someone,
    x_csrf_token: str = Header(""),
    sec_fetch_site: str = Header(""),
    accept: str = Header(""),
) -> Response:
    """Take one file; the body is looked at only once it is clear who sends it. 202 with `address` for programs."""
    await run_in_threadpool(require, here, who, "upload")
    home = _folder(here)
    if home is None:
        raise Refused(404, "not_found", "This server takes no uploads.")
    async with request.form(max_files=1, max_fields=2) as form:
        check_csrf(who, str(form.get("csrf", "")) or x_csrf_token, sec_fetch_site)
        sent = form.get("file")
        if not isinstance(sent, UploadFile) or not sent.size:
            raise Refused(422, "empty", "Choose a DICOM file or a zip.")
        # the name that the sender gave is not used: it may hold a path or a patient's name
        number = secrets.token_hex(8)
        folder = home / f".{number}"
        size = await run_in_threadpool(_keep, sent, folder / "study")
    try:
        await run_in_threadpool(_tell, here, who, size, "received")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # what isn't in the trail isn't kept
        raise
    job = _JOBS.add(number, Job(owner=who.name))
    work_off = _read if here.office is None else _take
    threading.Thread(target=_work_off, args=(work_off, here, who, folder, job, size), daemon=True).start()
    address = f"/upload/{number}"
    return JSONResponse({"address": address}, 202) if _JSON in accept else RedirectResponse(address, 303)


@router.get("/upload/{number}")
def progress(number: str, here: Here, who: Someone, accept: str = Header("")) -> Response:
    """How far it is; the page asks again until it is done, then goes to what was read."""
    require(here, who, "upload")
    job = _JOBS.get(number)
    if job is None or job.owner != who.name:
        raise Refused(404, "not_found")
    with here.store.read() as work:
        if job.outcome == "taken" and job.study:
            study = Studies(work).find(job.study)
            job.what = study.state if study else "waiting"
            if study and study.state in names(STUDY_STATES, terminal=True):
                job.outcome = "read"
        over = job.outcome == "read" or (job.outcome == "taken" and not job.study)
        address = f"/studies/{job.study}" if job.study else "/worklist"
        if _JSON in accept:
            told = {"what": job.what, "done": job.done, "total": job.total, "refused": job.outcome == "refused"}
            return JSONResponse(told | {"reason": job.reason, "address": address if over else None})
        if over:
            return RedirectResponse(address, 303)
        return page("uploading.html.j2", here, who, work, job=job, number=number)


def _folder(here: Premises) -> Path | None:
    """Where uploads are kept while they are looked at; None where none are taken."""
    if here.office is not None:
        return here.office.uploads
    return here.uploads if here.read is not None else None


def _keep(sent: UploadFile, target: Path) -> int:
    target.parent.mkdir(parents=True)
    size = 0
    with target.open("wb") as stream:
        while chunk := sent.file.read(_CHUNK):
            size += stream.write(chunk)
    return size


def _work_off(work_off: _Worker, here: Premises, who: Visitor, folder: Path, job: Job, size: int) -> None:
    """Whatever goes wrong is told on the page and in the trail, and what can't be read is thrown away again."""
    try:
        outcome, study = work_off(here, who, folder, job)
    except RadiolucentError as error:
        shutil.rmtree(folder, ignore_errors=True)
        # the path in the message is ours, not the sender's
        job.reason, outcome, study = str(error).replace(str(folder), "upload"), "refused", ""
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        job.reason = f"it could not be read: {type(error).__name__}"
        _tell(here, who, size, "refused")
        job.outcome = "refused"
        raise
    _tell(here, who, size, outcome, study=study)
    job.study, job.outcome = study, outcome


def _take(here: Premises, who: Visitor, folder: Path, job: Job) -> tuple[str, str]:
    """Into the gateway's archive, like what a scanner sends; its workers do the rest."""
    assert here.office is not None
    taken = here.office.take(folder / "study", peer_address=who.address)
    shutil.rmtree(folder, ignore_errors=True)
    return "taken", taken.studies[0] if len(taken.studies) == 1 else ""


def _read(here: Premises, who: Visitor, folder: Path, job: Job) -> tuple[str, str]:
    """Read into the hidden folder, and let it appear at the end."""
    assert here.read is not None

    def report(what: str, done: int, total: int) -> None:
        job.what, job.done, job.total = what, done, total

    with _AT_ONCE:
        here.read(folder / "study", folder / "reading", report)
    readings, _ = read_document(folder / "reading" / "reading.json")
    folder.rename(folder.with_name(folder.name.removeprefix(".")))
    return "read", readings[0].study_instance_uid if len(readings) == 1 else ""


def _tell(here: Premises, who: Visitor, size: int, outcome: str, *, study: str = "") -> None:
    with here.store.begin() as work:
        AuditTrail(work).append(
            who.signs(StudyUploaded, at=here.clock(), study=study, size_bytes=size, outcome=outcome)
        )


_Worker = Callable[[Premises, Visitor, Path, Job], tuple[str, str]]
