"""``explain-rule`` and ``thresholds simulate`` on a stored reading."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from radiolucent.cli.main import app
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.output import write_readings
from radiolucent.pipeline.read_path import read_path

runner = CliRunner()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, bright_spots: Callable[[], Any]) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    make_study("brain-mr", ("meningioma",), seed=3, rows=96, slices=8).save(folder / "study")
    result = read_path(folder / "study", [bright_spots()])
    write_readings(result, folder / "reading", made_at=datetime(2026, 11, 21, tzinfo=UTC))
    return folder / "reading"


def test_a_rules_path_names_threshold_urgency_and_its_table(stored: Path) -> None:
    shown = runner.invoke(app, ["explain-rule", str(stored), "glioma"])
    assert shown.exit_code == 0
    assert "threshold: calibrated probability" in shown.stdout
    assert "urgency:" in shown.stdout
    assert "table" in shown.stdout


def test_a_finding_that_is_not_in_the_reading_is_wrong_use_and_says_which_are(stored: Path) -> None:
    shown = runner.invoke(app, ["explain-rule", str(stored), "fracture"])
    assert shown.exit_code == 2
    assert "glioma" in shown.stderr


def test_a_folder_without_a_reading_is_wrong_use_and_says_how_to_make_one(tmp_path: Path) -> None:
    shown = runner.invoke(app, ["explain-rule", str(tmp_path), "glioma"])
    assert shown.exit_code == 2
    assert "radiolucent read" in shown.stderr


def test_simulated_thresholds_say_what_would_have_changed(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "thresholds.toml").write_text(
        'site = "north"\n[[engines]]\nname = "bright-spots"\nversion = "1.2.3"\ndigest = ""\npurpose = "triage"\n'
        'set_by = "lead"\nset_on = 2026-11-01\nreason = "a trial"\n[engines.thresholds]\nmeningioma = 0.0001\n',
        encoding="utf-8",
    )
    shown = runner.invoke(
        app, ["thresholds", "simulate", str(stored), "--file", str(tmp_path / "thresholds.toml"), "--json"]
    )
    assert shown.exit_code == 0
    row = json.loads(shown.stdout)["rows"][0]
    assert (row["finding"], row["n"], row["positive_before"], row["became_positive"]) == ("meningioma", 1, 0, 1)


def test_a_rules_path_as_json_holds_each_level_with_its_reasons_and_sources(stored: Path) -> None:
    shown = runner.invoke(app, ["explain-rule", str(stored), "glioma", "--json"])
    assert shown.exit_code == 0
    (path,) = json.loads(shown.stdout)
    assert (path["finding"], path["engine"]) == ("glioma", "bright-spots@1.2.3")
    assert path["urgency"]["reasons"]
    assert path["urgency"]["table"] == path["urgency"]["table_in_use"]
    assert all(len(citation) > 10 for citation in path["sources"].values())
