"""What one FHIR server wants to be told otherwise: identifier systems, code systems, statuses, a site's own codes."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, Literal

from pydantic import AnyUrl, Field, TypeAdapter, ValidationError, model_validator

from radiolucent.findings.tables import TableModel, read_table
from radiolucent.findings.taxonomy import FINDINGS, LOCAL_SCHEME, Code
from radiolucent.imaging.uids import derived_uid
from radiolucent.results.hl7_mapping import MappingCode

CODE_SYSTEM: Final = f"urn:oid:{derived_uid('radiolucent', 'code-system')}"
"""The project's own codes (``99RADIOLUCENT``); an OID, because no web address is theirs."""

_NEEDED: Final = ("SCT", "LN", "DCM", "RADLEX", "RADELEMENT")


class Systems(TableModel):
    """Identifier systems of the site: URIs, or empty."""

    patient: str = ""
    accession: str = ""
    placer: str = ""


class Statuses(TableModel):
    """Report and observation status of each kind of message."""

    preliminary: Literal["preliminary"]
    corrected: Literal["amended", "corrected", "preliminary"]
    withdrawn: Literal["entered-in-error", "cancelled"]


class FhirMapping(TableModel):
    """A whole table, valid or refused.

    Parameters
    ----------
    schemes : DICOM coding scheme designator → URI of the code system.
    codes : a site's own code of a finding, by its name; it comes before the standard one.
    """

    version: str
    systems: Systems
    status: Statuses
    schemes: dict[str, str]
    codes: dict[str, MappingCode] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> FhirMapping:
        if missing := [scheme for scheme in _NEEDED if scheme not in self.schemes]:
            raise ValueError(f"schemes: {missing[0]} must have a URI")
        for uri in (*self.schemes.values(), self.systems.patient, self.systems.accession, self.systems.placer):
            _check_uri(uri)
        for name, code in self.codes.items():
            if name not in FINDINGS:
                raise ValueError(f"codes: {name!r} is no finding of the taxonomy")
            if code.scheme not in self.schemes:
                raise ValueError(f"codes: {code.scheme!r} must have a URI under schemes")
        return self

    def system(self, scheme: str) -> str | None:
        """URI of a code system, None where the table has none: then a code is sent as text alone."""
        return CODE_SYSTEM if scheme == LOCAL_SCHEME else self.schemes.get(scheme)

    def finding_codes(self, name: str) -> tuple[Code, ...]:
        """All codes of a finding, a site's own first."""
        kind = FINDINGS[name]
        own = self.codes.get(name)
        known = (own.code if own else None, kind.code, kind.radlex, kind.cde)
        return tuple(code for code in known if code is not None)


@cache
def default_mapping() -> FhirMapping:
    """The packaged table, ``results/mappings/fhir.toml``."""
    with resources.as_file(resources.files("radiolucent.results").joinpath("mappings", "fhir.toml")) as path:
        return read_table("fhir", FhirMapping, path=path)


def site_mapping(path: Path) -> FhirMapping:
    """A site's own table.

    Raises
    ------
    InvalidTable
        If a URI is none, a code system is missing, a finding is unknown, or a status would be final.
    """
    return read_table("fhir", FhirMapping, path=path)


def _check_uri(uri: str) -> None:
    try:
        if uri:
            TypeAdapter(AnyUrl).validate_python(uri)
    except ValidationError:
        raise ValueError(f"{uri!r} is no URI") from None
