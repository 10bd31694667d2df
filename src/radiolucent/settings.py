"""What a site may set for ``radiolucent serve``, each with default and help: a TOML file, then the environment.

Only `app` and `cli` read this. The table in docs/settings.md is made from these fields.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import PydanticUndefined

from radiolucent.errors import SetupError

PREFIX = "RADIOLUCENT_SERVE_"
AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Port = Annotated[int, Field(ge=0, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListenerSettings(_Section):
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


class ArchiveSettings(_Section):
    """Received images on disk."""

    watermark_mib: int = Field(default=2048, ge=0, description="Free space below which nothing more is taken, in MiB.")
    maximum_gib: float = Field(
        default=0.0, ge=0, description="Images are removed, oldest first, above this; 0: no limit."
    )
    maximum_days: int = Field(default=0, ge=0, description="Images are removed after so many days; 0: never.")


class AssemblySettings(_Section):
    """When a study counts as complete."""

    quiet_s: float = Field(default=20.0, ge=0, description="Nothing came for so long, and no association is open.")
    partial_quiet_s: float = Field(default=120.0, ge=0, description="The same after an aborted association.")
    longest_wait_s: float = Field(
        default=3600.0, gt=0, description="Read what is there, whatever is missing, after so long."
    )


class WorkSettings(_Section):
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
    compare_with_priors: bool = Field(
        default=True, description="Compare with an earlier study of the patient, if one is here."
    )
    insight_pdf: bool = Field(default=False, description="Also print insight sheets; needs the 'pdf' extra.")
    backfill_after_days: int = Field(default=3, ge=0, description="Older studies yield to those of today.")
    dead_after_s: float = Field(
        default=30.0, gt=0, description="A silent worker's studies are taken over after so long."
    )


class WebSettings(_Section):
    """The web pages."""

    enabled: bool = Field(default=True, description="Serve the web pages, where this installation has them.")
    host: str = Field(
        default="127.0.0.1", description="Address to listen on; loopback unless a proxy with TLS stands before it."
    )
    port: Port = Field(default=8080, description="TCP port; 0 takes a free one and prints it.")
    viewer_url: str | None = Field(default=None, description="Address of a study for messages, with {study} in it.")


class DestinationSettings(_Section):
    """One place that results go to."""

    name: Name = Field(description="Its name in routes, rows and logs.")
    kind: Literal["folder", "cstore", "stow", "mllp", "fhir"] = Field(description="How results get there.")
    folder: Path | None = Field(default=None, description="folder: where to write.")
    host: str = Field(default="", description="cstore, mllp: address.")
    port: Port = Field(default=0, description="cstore, mllp: TCP port.")
    called_ae: str = Field(default="", description="cstore: AE title of the PACS.")
    calling_ae: AeTitle = Field(default="RADIOLUCENT", description="cstore: our AE title.")
    url: str = Field(default="", description="stow, fhir: base address.")
    token: SecretStr = Field(default=SecretStr(""), description="stow, fhir: bearer token; better in the environment.")
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
        }
        missing = [name for name in needs[self.kind] if not getattr(self, name)]
        if missing:
            raise ValueError(f"a {self.kind} destination needs {', '.join(missing)}")
        return self


class RouteSettings(_Section):
    """One rule: which studies, which engines, which destinations. The first that fits is taken."""

    name: Name = Field(description="Its name in logs and reasons.")
    modalities: tuple[str, ...] = Field(default=(), description="The study has a series of one of these.")
    body_parts: tuple[str, ...] = Field(default=(), description="Body Part Examined is one of these.")
    calling_ae_titles: tuple[str, ...] = Field(default=(), description="Sender's AE title, with * and ?.")
    descriptions: tuple[str, ...] = Field(default=(), description="Study Description, with * and ?.")
    engines: tuple[str, ...] = Field(default=(), description="Engines that are asked; empty: all loaded.")
    destinations: tuple[str, ...] = Field(default=(), description="Where results go; empty: nowhere.")
    read: bool = Field(default=True, description="false keeps such studies without reading them.")


class Settings(_Section):
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
    destinations: tuple[DestinationSettings, ...] = Field(default=(), description="Places that results go to.")
    routes: tuple[RouteSettings, ...] = Field(
        default=(), description="Rules; without one, all engines read everything and results go to every destination."
    )

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Settings:
        names = [one.name for one in self.destinations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two destinations are named {twice[0]!r}")
        return self


def load_settings(path: Path | None = None, **given: Any) -> Settings:
    """Settings from a file, over it the environment, over that what is given here.

    Parameters
    ----------
    path : TOML; None takes the environment and the defaults alone.
    given : single top-level settings, of a command line; None counts as not given.

    Raises
    ------
    SetupError
        If the file is missing or no TOML, or a value is unknown or not allowed: names the setting.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SetupError(f"the settings {path} can't be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SetupError(f"the settings {path} are no valid TOML: {error}") from error
    values = _merged(values, _from_environment(os.environ))
    values = _merged(values, {key: value for key, value in given.items() if value is not None})
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise SetupError(f"{where}: {first['msg'].removeprefix('Value error, ')} (see docs/settings.md)") from error


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Every setting: (name in the file, what, default, name in the environment)."""
    yield from _rows(Settings, "")


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        inner, many = _section(field.annotation)
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}{'[]' if many else ''}.")
            continue
        variable = "" if "[]" in prefix else PREFIX + f"{prefix}{name}".replace(".", "__").upper()
        yield f"{prefix}{name}", field.description or "", _shown(field.default), variable


def _section(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is tuple:
        first = get_args(annotation)[0]
        if isinstance(first, type) and issubclass(first, BaseModel):
            return first, True
    return None, False


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, SecretStr):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None or default == () else str(default)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Nested values of the variables that begin with `PREFIX`; lists are separated by commas."""
    known = {variable: name for name, _, _, variable in rows() if variable}
    values: dict[str, Any] = {}
    for variable, name in known.items():
        if variable not in environ:
            continue
        *sections, last = name.split(".")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
        text = environ[variable]
        inner[last] = [part.strip() for part in text.split(",") if part.strip()] if _is_list(name) else text
    return values


def _is_list(name: str) -> bool:
    *sections, last = name.split(".")
    model: type[BaseModel] = Settings
    for section in sections:
        inner, _ = _section(model.model_fields[section].annotation)
        assert inner is not None
        model = inner
    return get_origin(model.model_fields[last].annotation) is tuple


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
