"""Sections of the settings for what is told to whom: how messages are written, and alerts with their channels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from radiolucent.settings.sections import Name, Port, Section

Address = Annotated[str, Field(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]


class MessageSettings(Section):
    """How ORU and FHIR messages are written."""

    language: Literal["en", "de"] = Field(default="en", description="Language of messages and draft reports.")
    templates: Path | None = Field(
        default=None, description="Folder of the site's own report templates ('radiolucent rules templates')."
    )
    oru_mapping: Path | None = Field(default=None, description="The site's own ORU^R01 mapping (TOML; docs/hl7.md).")
    fhir_mapping: Path | None = Field(default=None, description="The site's own FHIR mapping (TOML; docs/fhir.md).")
    fhir_release: Literal["R4B", "R5"] = Field(
        default="R4B", description="Release of the bundle; R5 also holds an ImagingSelection for each heatmap."
    )


class AlertChannelSettings(Section):
    """One channel to one group of recipients. The pages show every alert whatever stands here."""

    name: Name = Field(description="Its name in rows and logs.")
    kind: Literal["mail", "hl7", "fhir"] = Field(description="How alerts get there.")
    destination: str = Field(default="", description="hl7, fhir: the mllp or fhir destination whose address is used.")
    host: str = Field(default="127.0.0.1", description="mail: address of the mail server.")
    port: Port = Field(default=25, description="mail: its TCP port.")
    starttls: bool = Field(default=False, description="mail: STARTTLS, and no mail without it.")
    tls_ca: Path | None = Field(default=None, description="mail: PEM file of who signed the server's certificate.")
    sender: str = Field(default="", description="mail: address that mails come from.")
    recipients: tuple[Address, ...] = Field(default=(), description="mail: the group of recipients.")
    link: bool = Field(default=False, description="mail: with a link to the study (web.viewer_url).")
    accession: bool = Field(default=False, description="mail: with the accession number.")
    timeout_s: float = Field(default=30.0, gt=0, description="mail: for connecting and for each answer.")
    gets: Literal["first", "escalation", "both"] = Field(
        default="both", description="First messages, what nobody acknowledged in time, or both."
    )
    least_urgent: int = Field(default=4, ge=1, le=4, description="Urgency level up to which alerts go there.")
    tiers: tuple[Literal["A", "B", "C"], ...] = Field(default=("A", "B", "C"), description="Tiers that go there.")
    findings: tuple[str, ...] = Field(default=(), description="Findings that go there; empty: all.")
    per_hour: int = Field(default=0, ge=0, description="At most so many first messages an hour; 0: the table's number.")

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> AlertChannelSettings:
        needs = ("sender", "recipients", "host", "port") if self.kind == "mail" else ("destination",)
        missing = [name for name in needs if not getattr(self, name)]
        if missing:
            raise ValueError(f"a {self.kind} channel needs {', '.join(missing)}")
        return self


class AlertSettings(Section):
    """Alerts: which findings, in which words, how often, escalated when."""

    table: Path | None = Field(default=None, description="The site's own tiers, words and limits (TOML).")
    language: Literal["en", "de"] = Field(default="en", description="Language of alerts.")
    channels: tuple[AlertChannelSettings, ...] = Field(default=(), description="Channels to groups of recipients.")

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> AlertSettings:
        names = [one.name for one in self.channels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two channels are named {twice[0]!r}")
        return self
