"""Sections of the settings for what comes in beside the listener: PACS that are asked, folders, STOW-RS, worklist."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from radiolucent.settings.sections import AeTitle, Name, Port, Section


class StowSettings(Section):
    """STOW-RS on the web server."""

    enabled: bool = Field(
        default=True, description="Take STOW-RS requests under /dicom-web, with the API token of a sender."
    )
    maximum_object_gib: float = Field(default=4.0, gt=0, description="A larger object ends its request with 413.")
    maximum_request_gib: float = Field(default=32.0, gt=0, description="A larger request is refused with 413.")


class WatchedFolderSettings(Section):
    """A folder that others copy DICOM files into."""

    name: Name = Field(description="Its name in logs and states.")
    folder: Path = Field(description="Files in it are taken and then removed; what is refused moves to refused/ in it.")
    settle_s: float = Field(default=5.0, ge=0, description="A file that kept its size for so long is complete.")
    every_s: float = Field(default=2.0, gt=0, description="How often it is looked at.")


class PacsSettings(Section):
    """A PACS that is asked, and fetched from."""

    name: Name = Field(description="Its name in logs and states.")
    kind: Literal["dimse", "dicomweb"] = Field(description="C-FIND with C-GET or C-MOVE; or QIDO-RS with WADO-RS.")
    host: str = Field(default="", description="dimse: address.")
    port: Port = Field(default=0, description="dimse: TCP port.")
    called_ae: str = Field(default="", max_length=16, description="dimse: its AE title.")
    calling_ae: AeTitle = Field(default="RADIOLUCENT", description="dimse: our AE title.")
    fetch_by: Literal["get", "move"] = Field(
        default="get", description="dimse: C-GET, or C-MOVE to the listener, for a PACS without C-GET."
    )
    move_to: str = Field(
        default="", max_length=16, description="dimse: AE title that C-MOVE sends to; empty takes the listener's."
    )
    url: str = Field(default="", description="dicomweb: address of the DICOMweb root.")
    token: SecretStr = Field(default=SecretStr(""), description="dicomweb: bearer token.")
    tls: bool = Field(default=False, description="dimse: TLS, checked against the system's or the given CA.")
    tls_ca: Path | None = Field(default=None, description="PEM file of who signed its certificate.")
    tls_certificate: Path | None = Field(default=None, description="PEM file of our own certificate, where it asks.")
    tls_key: Path | None = Field(default=None, description="PEM file of its key.")
    timeout_s: float = Field(default=30.0, gt=0, description="For connecting and for each answer.")
    priors: bool = Field(default=False, description="Ask it for earlier studies of the patient, and fetch them.")
    counts: bool = Field(default=False, description="Ask it how many images a study has, before the study is read.")
    reconcile: bool = Field(default=False, description="Compare what it holds with what was received, once a day.")
    watch_modalities: tuple[str, ...] = Field(
        default=(), description="Watch it: fetch new studies of these modalities; empty: it isn't watched."
    )
    watch_body_parts: tuple[str, ...] = Field(
        default=(), description="Watch: only studies with a series of one of these body parts."
    )
    watch_days: int = Field(default=1, ge=0, description="Watch: studies from so many days ago until today.")
    watch_every_s: float = Field(default=30.0, gt=0, description="Watch: how often it is asked.")
    watch_yields: bool = Field(
        default=False, description="Watch: its studies yield to all others, as old ones do by themselves."
    )

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> PacsSettings:
        needs = {"dimse": ("host", "port", "called_ae"), "dicomweb": ("url",)}
        missing = [name for name in needs[self.kind] if not getattr(self, name)]
        if missing:
            raise ValueError(f"a {self.kind} PACS needs {', '.join(missing)}")
        if self.watch_body_parts and not self.watch_modalities:
            raise ValueError("watch_body_parts needs watch_modalities")
        return self


class PriorSettings(Section):
    """Earlier studies of the patient."""

    most: int = Field(default=2, ge=1, le=20, description="Fetched for one new study, the latest comparable ones.")
    oldest_days: int = Field(default=5 * 365, ge=1, description="Older ones aren't looked for.")
    wait_s: float = Field(
        default=60.0, ge=0, description="A study that is complete waits so long for its priors, an urgent one not."
    )
    read_again: bool = Field(
        default=True, description="Read a study again, as a correction, when its prior came after it was read."
    )
    give_up_after_h: float = Field(default=6.0, gt=0, description="A PACS that doesn't answer is asked for so long.")


class WorklistSettings(Section):
    """The RIS's modality worklist, asked for the order of each study."""

    host: str = Field(default="", description="Address; empty: no worklist is asked.")
    port: Port = Field(default=104, description="Its TCP port.")
    called_ae: str = Field(default="", max_length=16, description="Its AE title.")
    calling_ae: AeTitle = Field(default="RADIOLUCENT", description="Our AE title.")
    timeout_s: float = Field(default=10.0, gt=0, description="For connecting and for each answer.")
    wait_s: float = Field(default=10.0, ge=0, description="A study that is complete waits so long for the answer.")
    give_up_after_h: float = Field(
        default=1.0, gt=0, description="A worklist that doesn't answer is asked for so long."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> WorklistSettings:
        if self.host and not self.called_ae:
            raise ValueError("a worklist needs called_ae")
        return self


class ReconcileSettings(Section):
    """The daily comparison with the PACS."""

    at: str = Field(
        default="03:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Local time of the day, hours and minutes."
    )
    days: int = Field(default=2, ge=1, le=366, description="Studies of so many days, until yesterday, are compared.")
    modalities: tuple[str, ...] = Field(
        default=(), description="Only studies with a series of one of these; empty: all."
    )
