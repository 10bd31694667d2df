"""Phantoms of critical findings come out at level 1 with their heatmap first; every seed that is tried is counted.

The seeds are the first ones, not chosen ones. `radiolucent rules critical` prints the same table for all findings and
for as many seeds as wanted, those included that aren't asked for here because no bundle shows them every time.
"""

from __future__ import annotations

import sys

import pytest

from radiolucent.engines.runtime import Engine, load_engine
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.findings.urgency import default_urgency
from radiolucent.phantom.studies import FINDINGS as DRAWN
from radiolucent.pipeline.critical import CRITICAL, ENGINES, as_table, show_critical
from radiolucent.pipeline.read_path import choose_bundles


@pytest.fixture(scope="module")
def engines() -> list[Engine]:
    return [load_engine(bundle, threads=1) for bundle in choose_bundles(sorted(set(ENGINES.values())))]


@pytest.mark.parametrize(
    ("finding", "seeds"),
    [("tension-pneumothorax", (1, 2)), ("epidural-haemorrhage", (1,)), ("subdural-haemorrhage", (1,))],
)
def test_a_critical_finding_is_level_1_with_its_heatmap_first(
    engines: list[Engine], finding: str, seeds: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = show_critical(engines, seeds=seeds, findings=[finding])
    (line,) = as_table([row])
    with capsys.disabled():
        sys.stdout.write(f"\n{line}\n")
    assert [trial.seed for trial in row.trials] == list(seeds)
    assert row.count("shown") >= 1, line
    assert all(trial.inside for trial in row.trials if trial.shown), line


def test_every_critical_finding_that_a_phantom_can_show_is_in_the_table() -> None:
    """What raises a study to level 1 by itself, as far as it can be drawn; a shift is measured, not found."""
    drawn = {name for names in DRAWN.values() for name in names}
    critical = {entry.name for entry in default_urgency().findings if entry.base == 1}
    assert {name for _, name in CRITICAL} == (critical & drawn) - {"midline-shift"}
    assert all(FINDINGS[name].critical for _, name in CRITICAL)
