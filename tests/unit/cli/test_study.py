"""Studies on the command line: what became of each, and why a result was sent nowhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from radiolucent.audit.events import Withheld
from radiolucent.cli.main import app
from radiolucent.store.audit import AuditTrail
from radiolucent.store.instances import Associations, Instances, NewInstance, StudyHeader
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import open_store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEADER = StudyHeader(patient_id="ID-7", patient_name="Phantom^Test", accession_number="A-1", modality="CR")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = open_store("", tmp_path / "data")
    with store.begin() as work:
        for study, number in (("1.2.1", 1), ("1.2.2", 1), ("1.2.2", 2)):
            new = NewInstance(
                sop_instance_uid=f"{study}.{number}",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
                series_instance_uid=f"{study}.9",
                study_instance_uid=study,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                digest=f"{number:064d}",
                path=f"archive/{study}/{number}.dcm",
                size_bytes=1,
                source_kind="c-store",
                association_id="a1",
                calling_ae="CR1",
            )
            Associations(work).opened("a1", calling_ae="CR1", at=NOW)
            Instances(work).add(new, HEADER, at=NOW)
    store.close()
    return tmp_path / "data"


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["study", *arguments, "--data-folder", str(folder)])
    return result.exit_code, result.stdout


def test_each_study_is_listed_with_its_state_and_no_patient(folder: Path) -> None:
    code, said = run(folder, "list")

    assert code == 0
    assert "1.2.1  arriving     CR  1 image\n" in said
    assert "1.2.2  arriving     CR  2 images\n" in said
    assert "2 arriving" in said
    told = said + run(folder, "list", "--json")[1] + run(folder, "show", "1.2.1", "--json")[1]
    assert not any(word in told for word in ("Phantom", "ID-7", "A-1"))


@pytest.mark.parametrize(
    ("phase", "stopped", "expected"),
    [("shadow", "", "in shadow"), ("shadow", "yes", "no result is sent"), ("", "", ""), ("heatmaps", "", "")],
)
def test_the_list_ends_with_whose_results_are_sent_nowhere(
    folder: Path, phase: str, stopped: str, expected: str
) -> None:
    with (store := open_store("", folder)).begin() as work:
        if phase:
            Site(work).set_phase("chest", phase, now=NOW)
        if stopped:
            Site(work).set("ai_stopped", stopped)
    store.close()

    last = run(folder, "list")[1].splitlines()[-1]

    assert (expected in last) if expected else last == "2 arriving"
    assert json.loads(run(folder, "list", "--json")[1])["kept_here"] == (last if expected else "")


def test_a_study_tells_why_its_result_was_not_sent(folder: Path) -> None:
    with (store := open_store("", folder)).begin() as work:
        AuditTrail(work).append(
            Withheld(at=NOW, study_instance_uid="1.2.1", audience="pacs, ris", code="shadow"),
        )
    store.close()

    assert "12:00:00 not sent to pacs, ris: an engine is in shadow" in run(folder, "show", "1.2.1")[1]
    assert json.loads(run(folder, "show", "1.2.1", "--json")[1])["withheld"][0]["code"] == "shadow"
    assert "not sent" not in run(folder, "show", "1.2.2")[1]


def test_an_unknown_study_is_a_clear_error(folder: Path) -> None:
    assert run(folder, "show", "9.9")[0] == 2
