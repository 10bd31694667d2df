"""A gateway with everything that comes in beside the listener, against real peers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from radiolucent.store.people import People
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import open_store
from tests.integration.gateways import RunningGateway, wait_for

SENDER = "ct-1"


@dataclass
class OpenGateway(RunningGateway):
    """`radiolucent serve` with pages, a watched folder and whatever `ways` adds to its settings."""

    ways: str = ""
    destinations: str = ""
    listen: int = 0
    token: str = ""
    pages: str = ""

    @property
    def inbox(self) -> Path:
        return self.home / "inbox"

    def start(self) -> None:
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.out.mkdir(parents=True, exist_ok=True)
        self.settings.write_text(
            f'data_folder = "{self.data}"\n[listener]\nport = {self.listen}\n'
            "[archive]\nwatermark_mib = 1\n[web]\nport = 0\n"
            f'[assembly]\nquiet_s = {self.quiet_s}\n[work]\nengines = ["brain-mri"]\n'
            f'[[watched_folders]]\nname = "inbox"\nfolder = "{self.inbox}"\nsettle_s = 0.2\nevery_s = 0.3\n'
            f'[[destinations]]\nname = "out"\nkind = "folder"\nfolder = "{self.out}"\n{self.destinations}{self.ways}',
            encoding="utf-8",
        )
        store = open_store("", self.data)
        with store.begin() as work:
            if People(work).get(SENDER) is None:
                now = datetime.now(UTC)
                People(work).add(SENDER, role="sender", password="", now=now)
                self.token = People(work).make_token(SENDER, label="test", role="sender", now=now)
                Site(work).set_phase("brain-mri", "routine", now=now)  # with pages, an engine in shadow sends nothing
        store.close()
        self.starts += 1
        said = self.home / f"said-{self.starts}"
        with said.open("wb") as stdout, (self.home / "log").open("ab") as stderr:
            self.process = subprocess.Popen(
                [*PROGRAM, "serve", "-s", str(self.settings)],
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
            )
        wait_for(lambda: "pages:" in said.read_text() or self._ended(), 240, "the gateway to start")
        lines = said.read_text().splitlines()
        self.port = int(lines[0].rpartition(":")[2])
        self.pages = next(line for line in lines if line.startswith("pages:")).partition(" ")[2]

    def told(self, *command: str) -> tuple[int, Any]:
        """Exit status and JSON of a command of `radiolucent study`."""
        ended = subprocess.run(
            [*PROGRAM, "study", *command, "-s", str(self.settings), "--json"],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    def study(self, uid: str) -> tuple[str, str, str]:
        """State, source and priority of a study; empty where it is unknown."""
        found = self.rows("select state, source_kind, priority from studies where study_instance_uid = ?", uid)
        return (str(found[0][0]), str(found[0][1]), str(found[0][2])) if found else ("", "", "")

    def wait_until_read(self, uid: str) -> None:
        """Until a study is read."""
        wait_for(lambda: self.study(uid)[0] in ("read", "partly-read"), 400, f"{uid} to be read")


PROGRAM = (sys.executable, "-c", "from radiolucent.cli.main import main; main()")


def send(datasets: Sequence[Dataset], port: int, *, called: str) -> None:
    """C-STORE."""
    ours = AE(ae_title="RADIOLUCENT")
    for uid in {dataset.SOPClassUID for dataset in datasets}:
        ours.add_requested_context(uid, ExplicitVRLittleEndian)
    association = ours.associate("127.0.0.1", port, ae_title=called)
    assert association.is_established
    assert {association.send_c_store(dataset).Status for dataset in datasets} == {0}
    association.release()


def start_worklist(folder: Path, orders: Sequence[Dataset]) -> tuple[subprocess.Popen[bytes], int]:
    """DCMTK's worklist server with these orders, and its port."""
    program = shutil.which("wlmscpfs")
    assert program is not None
    place = folder / "RIS"
    place.mkdir(parents=True)
    (place / "lockfile").touch()
    for number, order in enumerate(orders):
        order.save_as(place / f"{number}.wl", enforce_file_format=True)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    server = subprocess.Popen(
        [program, "-dfr", "-dfp", str(folder), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return server, port
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the worklist server doesn't answer")


def order_for(header: Dataset, *, accession: str, placer: str, filler: str, priority: str = "ROUTINE") -> Dataset:
    """An order on the worklist for the study of a phantom."""
    order, step = Dataset(), Dataset()
    order.file_meta = FileMetaDataset()
    order.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    order.file_meta.MediaStorageSOPClassUID = UID("1.2.276.0.7230010.3.1.0.1")
    order.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    order.PatientName, order.PatientID = header.PatientName, header.PatientID
    order.PatientBirthDate, order.PatientSex = "19600101", "F"
    order.AccessionNumber, order.StudyInstanceUID = accession, header.StudyInstanceUID
    order.ReferringPhysicianName, order.AdmissionID = "Referrer^Some", "V1"
    order.PlacerOrderNumberImagingServiceRequest, order.FillerOrderNumberImagingServiceRequest = placer, filler
    order.RequestedProcedureID, order.RequestedProcedureDescription = "RP1", "MR head"
    order.RequestedProcedurePriority = priority
    step.Modality, step.ScheduledStationAETitle = header.Modality, "MR1"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20260301", "1200"
    step.ScheduledProcedureStepID = "S1"
    order.ScheduledProcedureStepSequence = [step]
    return order
