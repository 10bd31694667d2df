"""Site thresholds: bound to one engine version, written and read back, simulated on stored readings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from radiolucent.findings.operating_points import (
    EnginePoints,
    OperatingPoints,
    SimulatedFinding,
    StaleOperatingPoints,
    as_toml,
    is_positive,
    load_operating_points,
    rethreshold,
    simulate,
    with_threshold,
)
from radiolucent.findings.reading import EngineRef, Finding, Reading
from radiolucent.findings.tables import InvalidTable

MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]
ENGINE = EngineRef(name="brain-mri", version="1.0.0", digest="ab" * 32)
NONE = OperatingPoints(site="Example")


def points(value: float = 0.3, *, engine: EngineRef = ENGINE, finding: str = "glioma") -> OperatingPoints:
    return with_threshold(
        NONE,
        engine,
        finding,
        value,
        purpose="triage",
        set_by="lead",
        set_on=date(2026, 1, 2),
        reason="local validation",
    )


def test_thresholds_hold_for_the_version_they_were_set_for() -> None:
    assert points().thresholds(ENGINE) == {"glioma": 0.3}


def test_an_engine_without_site_thresholds_keeps_its_own() -> None:
    assert points().thresholds(EngineRef(name="head-ct", version="1.0.0", digest="")) == {}


@pytest.mark.parametrize(
    "engine",
    [
        EngineRef(name="brain-mri", version="1.0.1", digest="ab" * 32),
        EngineRef(name="brain-mri", version="1.0.0", digest="cd" * 32),
    ],
)
def test_another_version_or_other_weights_refuse_the_old_thresholds(engine: EngineRef) -> None:
    with pytest.raises(StaleOperatingPoints, match=r"set for brain-mri@1\.0\.0 with weights abab") as caught:
        points().thresholds(engine)
    assert caught.value.engine == engine.label


def test_setting_one_keeps_the_others_of_this_version_and_drops_those_of_an_old_one() -> None:
    both = with_threshold(
        points(), ENGINE, "meningioma", 0.6, purpose="triage", set_by="a", set_on=date(2026, 2, 2), reason="b"
    )
    assert both.thresholds(ENGINE) == {"glioma": 0.3, "meningioma": 0.6}
    new = EngineRef(name="brain-mri", version="2.0.0", digest="ef" * 32)
    moved = with_threshold(both, new, "glioma", 0.4, purpose="", set_by="a", set_on=date(2026, 3, 2), reason="b")
    assert moved.thresholds(new) == {"glioma": 0.4}
    assert len(moved.engines) == 1


@pytest.mark.parametrize("value", [0.0, 1.0, -0.2, 1.5])
def test_a_threshold_outside_0_to_1_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        points(value)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(value=st.floats(1e-6, 1 - 1e-6), site=TEXT, reason=TEXT)
def test_the_file_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, value: float, site: str, reason: str
) -> None:
    written = OperatingPoints(site=site, engines=(points(value).engines[0].model_copy(update={"reason": reason}),))
    path = tmp_path_factory.mktemp("points") / "points.toml"
    path.write_text(as_toml(written), encoding="utf-8", newline="\n")
    assert load_operating_points(path) == written


def test_an_engine_listed_twice_is_refused(tmp_path: Path) -> None:
    text = as_toml(points())
    path = tmp_path / "points.toml"
    path.write_text(text + text.split("\n", 2)[2], encoding="utf-8")
    with pytest.raises(InvalidTable, match="listed twice"):
        load_operating_points(path)


def test_an_entry_without_a_threshold_is_refused() -> None:
    with pytest.raises(ValidationError, match="thresholds"):
        EnginePoints(
            name="a", version="1.0.0", purpose="", set_by="", set_on=date(2026, 1, 1), reason="", thresholds={}
        )


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="no such file"):
        load_operating_points(tmp_path / "none.toml")


def test_a_simulation_counts_what_would_change(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    readings = [
        a_reading(a_finding(probability=value, positive=value >= 0.5, operating_point=0.5)) for value in (0.2, 0.4, 0.9)
    ]
    other = a_reading(a_finding(), series_changes={"engine": EngineRef(name="brain-mri", version="0.1.0", digest="")})
    result = simulate([*readings, other], points(0.3))
    assert result.rows == (
        SimulatedFinding(
            engine="brain-mri@1.0.0",
            finding="glioma",
            n=3,
            old_thresholds=(0.5,),
            new_threshold=0.3,
            positive_before=1,
            positive_after=2,
            became_positive=1,
            became_negative=0,
        ),
    )
    assert result.skipped == 1


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=5), low=st.floats(0.01, 0.99), high=st.floats(0.01, 0.99))
def test_a_lower_threshold_never_finds_less(
    a_finding: MakeFinding, a_reading: MakeReading, values: list[float], low: float, high: float
) -> None:
    low, high = sorted((low, high))
    readings = [a_reading(a_finding(probability=value)) for value in values]
    found = [simulate(readings, points(value)).rows[0].positive_after for value in (low, high)]
    assert found[0] >= found[1]


def test_an_uncalibrated_finding_is_compared_by_its_score(a_finding: MakeFinding) -> None:
    assert is_positive(a_finding(probability=None, score=0.7), 0.6)
    assert not is_positive(a_finding(probability=0.5, score=0.7), 0.6)


def test_a_series_with_other_thresholds_loses_what_no_longer_holds(
    a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    series = a_reading(a_finding(probability=0.6), a_finding("meningioma", probability=0.4, positive=False)).series[0]
    glioma, meningioma = rethreshold(series, {"glioma": 0.8, "meningioma": 0.3}).findings
    assert (glioma.positive, glioma.localisation, glioma.operating_point) == (False, None, 0.8)
    assert (meningioma.positive, meningioma.localisation) == (True, None)
    assert rethreshold(series, {}) == series
