"""``radiolucent rules check`` on good and bad tables, and what ``rules critical`` refuses."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner

from radiolucent.cli.main import app

runner = CliRunner()
TABLES = resources.files("radiolucent.findings").joinpath("tables")


def site(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    text = TABLES.joinpath(name).read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_changed_table_is_checked_and_its_changes_are_listed(tmp_path: Path) -> None:
    site(tmp_path, "urgency.toml", ('name = "glioma"\nbase = 2', 'name = "glioma"\nbase = 1'))
    site(tmp_path, "confidence.toml", ("good = 0.7", "good = 0.8"))
    shown = runner.invoke(app, ["rules", "check", str(tmp_path)])
    assert shown.exit_code == 0, shown.stderr
    assert "urgency: glioma: base 2 urgent → 1 critical" in shown.stdout
    assert "confidence: agreement.good 0.7 → 0.8" in shown.stdout
    listed = json.loads(runner.invoke(app, ["rules", "check", str(tmp_path), "--json"]).stdout)
    assert len(listed["changes"]) == 2


def test_the_packaged_table_changes_nothing(tmp_path: Path) -> None:
    shown = runner.invoke(app, ["rules", "check", str(site(tmp_path, "change.toml"))])
    assert shown.exit_code == 0
    assert "the same as the packaged tables" in shown.stdout


@pytest.mark.parametrize(
    ("name", "before", "after", "words"),
    [
        ("urgency.toml", 'name = "glioma"\n', 'name = "gliomas"\n', "not in the taxonomy"),
        ("confidence.toml", 'level = "high"', 'level = "certain"', "confidence.toml"),
    ],
)
def test_a_table_with_a_fault_is_refused_with_its_reason(
    tmp_path: Path, name: str, before: str, after: str, words: str
) -> None:
    shown = runner.invoke(app, ["rules", "check", str(site(tmp_path, name, (before, after)))])
    assert shown.exit_code == 2
    assert words in shown.stderr


def test_a_folder_without_rule_tables_or_with_another_one_is_refused(tmp_path: Path) -> None:
    assert "there is no table" in runner.invoke(app, ["rules", "check", str(tmp_path)]).stderr
    assert (
        "profile.toml is no rule table"
        in runner.invoke(app, ["rules", "check", str(site(tmp_path, "profile.toml"))]).stderr
    )


def test_a_finding_that_no_phantom_shows_as_critical_is_wrong_use() -> None:
    shown = runner.invoke(app, ["rules", "critical", "--finding", "nodule"])
    assert shown.exit_code == 2
    assert "tension-pneumothorax" in shown.stderr


def test_templates_are_written_out_tried_and_printed_in_both_languages(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shown = runner.invoke(app, ["rules", "templates", str(folder), "--start"])
    assert shown.exit_code == 0, shown.stderr
    assert "[en]" in shown.stdout
    assert "Verlässlichkeit" in shown.stdout
    (folder / "en" / "impression.j2").write_text("Our house says {{ positives | length }}.", encoding="utf-8")
    told = json.loads(runner.invoke(app, ["rules", "templates", str(folder), "--json"]).stdout)
    assert "Our house says 1." in told["en"]
    assert set(told) == {"en", "de"}


def test_templates_that_can_not_be_filled_end_with_2_and_their_name(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "findings.j2").write_text("{{ unheard_of }}", encoding="utf-8")
    shown = runner.invoke(app, ["rules", "templates", str(tmp_path)])
    assert shown.exit_code == 2
    assert "de/findings.j2" in shown.stderr
    assert runner.invoke(app, ["rules", "templates", str(tmp_path), "--start"]).exit_code == 2
