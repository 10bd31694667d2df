"""A site's names for one FHIR server are valid or refused."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from radiolucent.findings.tables import InvalidTable
from radiolucent.results.fhir_mapping import CODE_SYSTEM, default_mapping, site_mapping
from tests.unit.results.messages import bundled, of_findings, readings
from tests.unit.results.messages import resources as resources_of

PACKAGED = resources.files("radiolucent.results").joinpath("mappings", "fhir.toml").read_text(encoding="utf-8")


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_copy_of_the_packaged_mapping_is_a_valid_site_mapping(tmp_path: Path) -> None:
    assert site_mapping(_written(tmp_path, PACKAGED)) == default_mapping()
    assert default_mapping().system("99RADIOLUCENT") == CODE_SYSTEM
    assert default_mapping().system("99OTHER") is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('preliminary = "preliminary"', 'preliminary = "final"', "status"),
        ('corrected = "amended"', 'corrected = "final"', "status"),
        ('withdrawn = "entered-in-error"', 'withdrawn = "amended"', "status"),
        ('SCT = "http://snomed.info/sct"', "", "SCT must have a URI"),
        ('patient = ""', 'patient = "our patients"', "no URI"),
        ("[codes]", '[codes]\nmood = { value = "M", scheme = "SCT", meaning = "Mood" }', "no finding"),
        ("[codes]", '[codes]\nglioma = { value = "M", scheme = "99X", meaning = "Glioma" }', "99X"),
        ('version = "fhir 1.0.0"', "", "version"),
    ],
)
def test_a_mapping_that_can_not_work_is_refused_when_it_is_loaded(
    old: str, new: str, reason: str, tmp_path: Path
) -> None:
    assert old in PACKAGED
    with pytest.raises(InvalidTable, match=reason):
        site_mapping(_written(tmp_path, PACKAGED.replace(old, new, 1)))


def test_a_site_names_its_systems_codes_and_the_status_of_a_correction(tmp_path: Path) -> None:
    text = (
        PACKAGED.replace('patient = ""', 'patient = "urn:oid:1.2.3"')
        .replace('accession = ""', 'accession = "https://site.example/accession"')
        .replace('corrected = "amended"', 'corrected = "preliminary"')
        .replace("\n[schemes]\n", '\n[schemes]\n99SITE = "https://site.example/codes"\n')
        .replace("[codes]", '[codes]\nglioma = { value = "GLI", scheme = "99SITE", meaning = "Glioma" }')
    )
    made = bundled(readings()["positive"], mapping=site_mapping(_written(tmp_path, text)), status="corrected")
    (report,) = resources_of(made, "DiagnosticReport")
    assert report["status"] == "preliminary"
    assert report["subject"]["identifier"]["system"] == "urn:oid:1.2.3"
    assert report["basedOn"][0]["identifier"]["system"] == "https://site.example/accession"
    codings = of_findings(made)[0]["code"]["coding"]
    assert [(one["system"], one["code"]) for one in codings] == [
        ("https://site.example/codes", "GLI"),
        (CODE_SYSTEM, "RL0101"),
    ]


def test_a_findings_common_data_elements_are_among_its_codes() -> None:
    codes = {code.scheme: code.value for code in default_mapping().finding_codes("effusion")}
    assert codes == {"SCT": "60046008", "RADLEX": "RID34539", "RADELEMENT": "RDES254"}
    assert default_mapping().system("RADELEMENT") == "https://radelement.org"
