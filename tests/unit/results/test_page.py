"""Pages are filled from the packaged templates, or from a site's own of the same name; values never become markup."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from radiolucent.findings.narrative import Voice
from radiolucent.findings.reading import NOT_FOR_CLINICAL_USE
from radiolucent.findings.site_templates import PAGES, examples
from radiolucent.findings.tables import InvalidTable
from radiolucent.results.fhir import bundle
from radiolucent.results.hl7 import oru
from radiolucent.results.order import OrderFacts
from radiolucent.results.page import fill_page
from radiolucent.results.report import render_report

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def own_page(folder: Path, name: str, text: str) -> Path:
    (folder / PAGES).mkdir(exist_ok=True)
    (folder / PAGES / name).write_text(text, encoding="utf-8")
    return folder


def test_a_site_s_own_page_replaces_the_packaged_one_and_its_values_stay_escaped(tmp_path: Path) -> None:
    folder = own_page(tmp_path, "report.html.j2", "<p>{{ title }}</p><p>{{ warning }}</p><p>{{ made_at }}</p>")
    page = fill_page("report.html.j2", made_at=NOW, software="s", templates=folder, title="<script>")
    assert page == f"<p>&lt;script&gt;</p><p>{NOT_FOR_CLINICAL_USE}</p><p>2026-11-21 12:00 UTC</p>"


def test_a_part_alone_may_be_replaced(tmp_path: Path) -> None:
    folder = own_page(tmp_path, "problems.html.j2", "<p>House style: {{ problems | length }}</p>")
    whole = render_report(examples(), facts={}, pictures=[], made_at=NOW, voice=Voice(templates=folder))
    assert "AI reading" in whole


@pytest.mark.parametrize("text", ["{{ nothing }}", "{% if", "{{ title.__class__.__mro__ }}"])
def test_a_page_that_can_not_be_filled_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    folder = own_page(tmp_path, "report.html.j2", text)
    with pytest.raises(InvalidTable, match=r"pages/report\.html\.j2"):
        fill_page("report.html.j2", made_at=NOW, software="s", templates=folder, title="x")


def test_the_draft_report_stands_in_the_chosen_language(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "impression.j2").write_text("Hausbefund <b>{{ state }}</b>", encoding="utf-8")
    page = render_report(
        examples()[:1], facts={}, pictures=[], made_at=NOW, voice=Voice(language="de", templates=tmp_path)
    )
    assert '<p class="draft" lang="de">Hausbefund &lt;b&gt;partly-read&lt;/b&gt;</p>' in page
    assert "kalibrierte Wahrscheinlichkeit 80 % (95-%-Intervall 60 % bis 90 %)" in page
    assert "Nur diese Befunde wurden gesucht" in page


def test_messages_tell_the_site_s_own_impression(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "impression.j2").write_text("House impression.", encoding="utf-8")
    reading, facts = examples()[0], OrderFacts(patient_id="P1")
    message = oru(reading, facts, made_at=NOW, templates=tmp_path).decode("utf-8")
    made = bundle(reading, facts, made_at=NOW, templates=tmp_path)
    (heading,) = [one["resource"] for one in made["entry"] if one["resource"]["resourceType"] == "DiagnosticReport"]
    assert "House impression." in message
    assert "House impression." in heading["conclusion"]
