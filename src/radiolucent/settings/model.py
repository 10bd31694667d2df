"""Everything that a site may set for ``radiolucent serve``: the sections together, and what must fit between them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from radiolucent.settings.sections import (
    ArchiveSettings,
    AssemblySettings,
    DestinationSettings,
    ListenerSettings,
    RouteSettings,
    Section,
    WebSettings,
    WorkSettings,
)
from radiolucent.settings.telling import AlertSettings, MessageSettings
from radiolucent.settings.ways import (
    PacsSettings,
    PriorSettings,
    ReconcileSettings,
    StowSettings,
    WatchedFolderSettings,
    WorklistSettings,
)


class Settings(Section):
    """Everything that ``radiolucent serve`` can be told."""

    data_folder: Path = Field(
        default=Path("radiolucent-data"), description="Images, results and (SQLite) the database."
    )
    database_url: SecretStr = Field(
        default=SecretStr(""), description="postgresql://USER:PASSWORD@HOST/NAME; empty: SQLite in the data folder."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="What is logged.")
    log_format: Literal["text", "json"] = Field(default="text", description="One line of text or of JSON an event.")
    listener: ListenerSettings = Field(default=ListenerSettings(), description="The DICOM listener.")
    archive: ArchiveSettings = Field(default=ArchiveSettings(), description="Received images on disk.")
    assembly: AssemblySettings = Field(default=AssemblySettings(), description="When a study counts as complete.")
    work: WorkSettings = Field(default=WorkSettings(), description="Workers and engines.")
    web: WebSettings = Field(default=WebSettings(), description="The web pages.")
    stow: StowSettings = Field(default=StowSettings(), description="STOW-RS on the web server.")
    watched_folders: tuple[WatchedFolderSettings, ...] = Field(default=(), description="Folders to take files from.")
    pacs: tuple[PacsSettings, ...] = Field(default=(), description="PACS that are asked and fetched from.")
    priors: PriorSettings = Field(default=PriorSettings(), description="Earlier studies of the patient.")
    worklist: WorklistSettings = Field(default=WorklistSettings(), description="The RIS's modality worklist.")
    reconcile: ReconcileSettings = Field(default=ReconcileSettings(), description="The daily comparison.")
    messages: MessageSettings = Field(default=MessageSettings(), description="How messages are written.")
    alerts: AlertSettings = Field(default=AlertSettings(), description="Who is alerted of what.")
    presets: Path | None = Field(
        default=None, description="Rows of the site for what a kind of PACS takes (TOML; docs/destinations.md)."
    )
    destinations: tuple[DestinationSettings, ...] = Field(default=(), description="Places that results go to.")
    routes: tuple[RouteSettings, ...] = Field(
        default=(), description="Rules; without one, all engines read everything and results go to every destination."
    )

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Settings:
        for what, ones in (
            ("destinations are", self.destinations),
            ("PACS are", self.pacs),
            ("watched folders are", self.watched_folders),
        ):
            names = [one.name for one in ones]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two {what} named {twice[0]!r}")
        return self

    @model_validator(mode="after")
    def _what_is_moved_can_come_in(self) -> Settings:
        moving = [one for one in self.pacs if one.kind == "dimse" and one.fetch_by == "move"]
        if moving and not self.listener.enabled:
            raise ValueError("fetch_by = 'move' needs the listener")
        let_in = self.listener.calling_ae_titles
        for one in moving:
            if let_in and one.called_ae not in let_in:
                raise ValueError(f"fetch_by = 'move': {one.called_ae} isn't in listener.calling_ae_titles")
        return self
