"""A site's mapping is valid or refused, and nothing that protects a reader can be mapped away."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from radiolucent.findings.tables import InvalidTable
from radiolucent.results.hl7_mapping import VOCABULARY, Section, default_mapping, site_mapping
from tests.unit.results.messages import Received, readings, received, send

PACKAGED = resources.files("radiolucent.results").joinpath("mappings", "oru.toml").read_text(encoding="utf-8")


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_copy_of_the_packaged_mapping_is_a_valid_site_mapping(tmp_path: Path) -> None:
    assert site_mapping(_written(tmp_path, PACKAGED)) == default_mapping()


def _without(say: str, section: str) -> str:
    return re.sub(rf'\[\[{section}\]\]\nsay = "{say}".*?(?=\n\[\[|\n#|\Z)', "", PACKAGED, count=1, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("section", "say"),
    [
        ("study", "disclaimer"),
        ("study", "state"),
        ("positive", "finding"),
        ("positive", "probability"),
        ("positive", "score"),
        ("negative", "result"),
        ("unread", "reasons"),
    ],
)
def test_what_protects_a_reader_can_not_be_left_out(section: str, say: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=say):
        site_mapping(_written(tmp_path, _without(say, section)))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('say = "urgency"', 'say = "mood"', "mood"),
        ('say = "probability"                # only where it is calibrated\ntype = "NM"',
         'say = "probability"\ntype = "TX"', "can't hold it"),
        ('order = "P"', 'order = "F"', "status"),
        ('result = "W"', 'result = "F"', "status"),
        ('critical = "AA"', 'critical = "N"', "flags"),
        ('1 = "S"\n', "", "levels 1 to 5"),
        ('character_set = "UNICODE UTF-8"', 'character_set = "KLINGON"', "character_set"),
        ('processing_id = "P"', 'processing_id = "Q"', "processing_id"),
        ("[codes]", '[codes]\nmood = { value = "M", scheme = "99X", meaning = "Mood" }', "no finding"),
        ('value = "122157"', 'value = "an-overlong-code-value"', "16"),
        ('value = "urgency", scheme', 'value = "confidence", scheme', "keep only one"),
        ('code = { value = "engine", scheme = "99RADIOLUCENT", meaning = "Engine" }', 'code = "finding"',
         "only finding and result"),
        ('version = "oru 1.0.0"', "", "version"),
        ('version = "oru 1.0.0"', 'version = "oru', "TOML"),
        ('version = "oru 1.0.0"', 'version = "oru 1.0.0"\nfinal = true', "final"),
    ],
)  # fmt: skip
def test_a_mapping_that_can_not_work_is_refused_when_it_is_loaded(
    old: str, new: str, reason: str, tmp_path: Path
) -> None:
    assert old in PACKAGED
    with pytest.raises(InvalidTable, match=reason):
        site_mapping(_written(tmp_path, PACKAGED.replace(old, new, 1)))


def test_a_missing_mapping_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=r"gone\.toml"):
        site_mapping(tmp_path / "gone.toml")


def test_a_site_replaces_codes_names_and_order(tmp_path: Path) -> None:
    text = (
        PACKAGED.replace("[codes]", '[codes]\nglioma = { value = "GLI", scheme = "99SITE", meaning = "Glioma" }')
        .replace('receiving_application = ""', 'receiving_application = "RIS"')
        .replace('DCM = "DCM"', 'DCM = "DICOM"')
    )
    rows = re.search(r"(\[\[positive\]\]\nsay = \"urgency\".*?)\n(\[\[positive\]\]\nsay = \"confidence\".*?)\n(?=\[\[)",
                     text, re.DOTALL)  # fmt: skip
    assert rows is not None
    text = text.replace(rows.group(), f"{rows.group(2)}\n{rows.group(1)}\n")
    message = received(readings()["positive"], mapping=site_mapping(_written(tmp_path, text)))
    assert message.field("MSH", 5) == ("RIS",)
    group = message.groups()[0]
    assert group["121071"][:6] == ("GLI", "Glioma", "99SITE", "RL0101", "Glioma", "99RADIOLUCENT")
    codes = list(group)
    assert codes.index("confidence") < codes.index("urgency")
    probability = next(one for one in message.observations() if one.code[0] == "122157")
    assert probability.code[2] == "DICOM"


def test_a_site_files_results_under_the_accession_number(tmp_path: Path) -> None:
    mapping = site_mapping(_written(tmp_path, PACKAGED.replace('filler = "own"', 'filler = "accession"')))
    assert received(readings()["positive"], mapping=mapping).field("OBR", 3)[0] == "ACC-1"


def test_a_site_takes_the_message_in_its_own_character_set(tmp_path: Path) -> None:
    text = PACKAGED.replace('"UNICODE UTF-8"   #', '"8859/1"   #')
    data = send(
        readings()["positive"], mapping=site_mapping(_written(tmp_path, text)), language="de", status="withdrawn"
    )
    assert "zurückgezogen".encode("latin-1") in data
    assert Received.of(data.decode("latin-1").encode()).field("MSH", 18) == ("8859/1",)


@pytest.mark.parametrize("section", VOCABULARY)
def test_everything_that_may_be_said_in_some_type_is_written_when_asked_for(section: Section, tmp_path: Path) -> None:
    rows = {say: "TX" if kinds[0] == "TX" else kinds[-1] for say, kinds in VOCABULARY[section].items()}
    parts = [
        f'[[{section}]]\nsay = "{say}"\ntype = "{kind}"\ncode = {{ value = "{number}", scheme = "99X", meaning = "x" }}'
        for number, (say, kind) in enumerate(rows.items())
    ]
    kept = "" if section == "end" else re.sub(rf"\[\[{section}\]\]\n(?:\w.*\n)+", "", PACKAGED)
    mapping = site_mapping(_written(tmp_path, (kept or PACKAGED) + "\n" + "\n".join(parts)))
    said = set()
    for name in ("compared", "partly-read", "uncalibrated"):
        message = received(readings()[name], mapping=mapping, status="withdrawn", viewer_url="https://v.example/")
        said |= {one.code[0] for one in message.observations() if one.code[2] == "99X"}
    assert said == {str(number) for number in range(len(parts))}
