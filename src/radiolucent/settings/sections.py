"""Sections of the settings, each value with default and help: listener, archive, completeness, work, pages, routes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """What all sections are: frozen, and nothing in them that isn't known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ListenerSettings(Section):
    """The DICOM listener."""

    enabled: bool = Field(default=True, description="Listen for C-STORE at all.")
    ae_title: AeTitle = Field(default="RADIOLUCENT", description="Called AE title that senders must use.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all of the machine's.")
    port: Port = Field(default=11112, description="TCP port; 0 takes a free one and prints it.")
    calling_ae_titles: tuple[AeTitle, ...] = Field(default=(), description="Who may send; empty lets everyone.")
    maximum_associations: int = Field(
        default=200, ge=1, le=2000, description="At once; the next are told to come later."
    )
    maximum_object_gib: float = Field(default=4.0, gt=0, description="A larger object ends its association.")
    tls_certificate: Path | None = Field(
        default=None, description="PEM file of the server; with the key it turns TLS on."
    )
    tls_key: Path | None = Field(default=None, description="PEM file of the server's key.")
    tls_client_ca: Path | None = Field(
        default=None, description="PEM file of who signs client certificates; then all need one."
    )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> ListenerSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        return self


class ArchiveSettings(Section):
    """Received images on disk."""

    watermark_mib: int = Field(default=2048, ge=0, description="Free space below which nothing more is taken, in MiB.")
    maximum_gib: float = Field(
        default=0.0, ge=0, description="Images are removed, oldest first, above this; 0: no limit."
    )
    maximum_days: int = Field(default=0, ge=0, description="Images are removed after so many days; 0: never.")


class ExpectedSeriesSettings(Section):
    """A rule of the site: a study with a series of this modality also has these series."""

    modality: str = Field(min_length=1, description="A study with a series of this modality is meant.")
    descriptions: tuple[str, ...] = Field(
        min_length=1, description="Series Description, with * and ?; each must be met by a series of its own."
    )
    minimum_instances: int = Field(default=1, ge=1, description="Each of these series has so many images.")


class AssemblySettings(Section):
    """When a study counts as complete."""

    quiet_s: float = Field(default=20.0, ge=0, description="Nothing came for so long, and no association is open.")
    partial_quiet_s: float = Field(default=120.0, ge=0, description="The same after an aborted association.")
    longest_wait_s: float = Field(
        default=3600.0, gt=0, description="Read what is there, whatever is missing, after so long."
    )
    expected_series: tuple[ExpectedSeriesSettings, ...] = Field(
        default=(), description="Rules: a study isn't complete before these have come."
    )


class WorkSettings(Section):
    """Workers and engines."""

    workers: int = Field(
        default=1, ge=0, le=64, description="Processes that read studies; 0 where other machines do it."
    )
    threads: int = Field(default=1, ge=0, description="Threads of one engine run; 0: all cores.")
    deliveries_at_once: int = Field(default=4, ge=1, le=64, description="Deliveries in hand at once, for each worker.")
    engines: tuple[str, ...] = Field(
        default=(), description="Engines to load (name, name@version or folder); empty: all."
    )
    phantom_findings: bool = Field(default=False, description="Also report findings known from synthetic images only.")
    thresholds: Path | None = Field(default=None, description="The site's operating points (TOML).")
    profile: Path | None = Field(default=None, description="What the site may use each finding for (TOML).")
    rules: Path | None = Field(
        default=None, description="Folder with the site's own urgency.toml, confidence.toml or change.toml."
    )
    use_case: Literal["triage", "second-reader", "diagnosis-support"] = Field(
        default="second-reader", description="Whose policy decides which maps are shown (docs/explanations.md)."
    )
    gate: Path | None = Field(default=None, description="The site's own policies for showing maps (TOML).")
    compare_with_priors: bool = Field(
        default=True, description="Compare with an earlier study of the patient, if one is here."
    )
    insight_pdf: bool = Field(default=False, description="Also print insight sheets; needs the 'pdf' extra.")
    backfill_after_days: int = Field(default=3, ge=0, description="Older studies yield to those of today.")
    dead_after_s: float = Field(
        default=30.0, gt=0, description="A silent worker's studies are taken over after so long."
    )


class ProviderSettings(Section):
    """Login through the hospital's own provider, by OpenID Connect."""

    issuer: str = Field(default="", description="Its address, as its tokens name it; empty: local accounts alone.")
    client_id: str = Field(default="", description="Our name there.")
    client_secret: SecretStr = Field(default=SecretStr(""), description="Our secret there; better in the environment.")
    label: str = Field(default="the hospital's login", max_length=64, description="Its name on the login page.")
    scopes: tuple[str, ...] = Field(default=("openid", "profile"), description="What is asked for.")
    name_claim: str = Field(default="preferred_username", description="Claim that gives the account's name.")
    display_claim: str = Field(default="name", description="Claim that gives the name to show.")
    role_claim: str = Field(default="groups", description="Claim that holds groups or roles.")
    roles: tuple[str, ...] = Field(
        default=(), description="group=role, the first that a person has counts; who has none stays outside."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> ProviderSettings:
        if self.issuer and not (self.client_id and self.roles):
            raise ValueError("a provider needs client_id and roles")
        if any(not group or not role for group, _, role in (one.rpartition("=") for one in self.roles)):
            raise ValueError("roles are written group=role")
        return self


class WebSettings(Section):
    """The web pages."""

    enabled: bool = Field(default=True, description="Serve the web pages, where this installation has them.")
    host: str = Field(
        default="127.0.0.1", description="Address to listen on; loopback unless a proxy with TLS stands before it."
    )
    port: Port = Field(default=8080, description="TCP port; 0 takes a free one and prints it.")
    viewer_url: str | None = Field(default=None, description="Address of a study for messages, with {study} in it.")
    public_url: str = Field(default="", description="Address of the pages as browsers have it, behind a proxy.")
    provider: ProviderSettings = Field(default=ProviderSettings(), description="Login by OpenID Connect.")


class DestinationSettings(Section):
    """One place that results go to."""

    name: Name = Field(description="Its name in routes, rows and logs.")
    kind: Literal["folder", "cstore", "stow", "mllp", "fhir", "orthanc-flag"] = Field(
        description="How results get there; orthanc-flag writes the worklist flag alone."
    )
    folder: Path | None = Field(default=None, description="folder: where to write.")
    host: str = Field(default="", description="cstore, mllp: address.")
    port: Port = Field(default=0, description="cstore, mllp: TCP port.")
    called_ae: str = Field(default="", description="cstore: AE title of the PACS.")
    calling_ae: AeTitle = Field(default="RADIOLUCENT", description="cstore: our AE title.")
    url: str = Field(default="", description="stow, fhir, orthanc-flag: base address.")
    metadata: str = Field(default="4001", description="orthanc-flag: number (from 1024) or name of the study metadata.")
    token: SecretStr = Field(
        default=SecretStr(""), description="stow, fhir, orthanc-flag: bearer token; better in the environment."
    )
    preset: str = Field(default="everything", description="cstore, stow, folder: what it takes (docs/destinations.md).")
    commitment: Literal["no", "try", "require"] = Field(default="no", description="cstore: ask for storage commitment.")
    tls: bool = Field(default=False, description="cstore, mllp: TLS, checked against the system's or the given CA.")
    tls_ca: Path | None = Field(default=None, description="PEM file of who signed the peer's certificate.")
    tls_certificate: Path | None = Field(
        default=None, description="PEM file of our own certificate, where the peer asks."
    )
    tls_key: Path | None = Field(default=None, description="PEM file of its key.")
    timeout_s: float = Field(default=30.0, gt=0, description="For connecting and for each answer.")
    first_retry_s: float = Field(default=5.0, gt=0, description="Wait after the first failure; doubles from there.")
    longest_retry_s: float = Field(default=4 * 3600.0, gt=0, description="No wait is longer.")
    give_up_after_h: float = Field(
        default=72.0, ge=0, description="Then it is a dead letter, until a person queues it again."
    )

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> DestinationSettings:
        needs: dict[str, tuple[str, ...]] = {
            "folder": ("folder",),
            "cstore": ("host", "port", "called_ae"),
            "stow": ("url",),
            "mllp": ("host", "port"),
            "fhir": ("url",),
            "orthanc-flag": ("url",),
        }
        missing = [name for name in needs[self.kind] if not getattr(self, name)]
        if missing:
            raise ValueError(f"a {self.kind} destination needs {', '.join(missing)}")
        return self


class RouteSettings(Section):
    """One rule: which studies, which engines, which destinations. The first that fits is taken."""

    name: Name = Field(description="Its name in logs and reasons.")
    modalities: tuple[str, ...] = Field(default=(), description="The study has a series of one of these.")
    body_parts: tuple[str, ...] = Field(default=(), description="Body Part Examined is one of these.")
    calling_ae_titles: tuple[str, ...] = Field(default=(), description="Sender's AE title, with * and ?.")
    descriptions: tuple[str, ...] = Field(default=(), description="Study Description, with * and ?.")
    engines: tuple[str, ...] = Field(default=(), description="Engines that are asked; empty: all loaded.")
    destinations: tuple[str, ...] = Field(default=(), description="Where results go; empty: nowhere.")
    read: bool = Field(default=True, description="false keeps such studies without reading them.")
