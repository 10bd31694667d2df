"""What a reader found wrong is taken out of a reading, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.reading import Reading, SeriesReading
from radiolucent.pipeline.amending import SAME_LOGIT, amended
from radiolucent.store.amendments import FINDING, PLACE, Amendment, What
from tests.unit.findings.conftest import make_finding, make_localisation, make_series

NOW = datetime(2026, 1, 2, tzinfo=UTC)
GLIOMA = make_finding("glioma", logit=2.0, localisation=make_localisation())
MENINGIOMA = make_finding("meningioma", logit=1.0, localisation=make_localisation())


def a_series() -> SeriesReading:
    return make_series(GLIOMA, MENINGIOMA)


def a_reading() -> Reading:
    return Reading(study_instance_uid="1", series=(a_series(),))


def wrong(what: What = FINDING, **changes: Any) -> Amendment:
    series = a_series()
    made = Amendment(
        series_key=series.key,
        finding="glioma",
        engine=series.engine.label,
        logit=2.0,
        what=what,
        reader="r",
        at=NOW,
    )
    return replace(made, **changes)


def test_a_wrong_finding_is_taken_out_and_named_and_the_rest_stays() -> None:
    [series] = amended(a_reading(), [wrong()]).series
    assert series.findings == (MENINGIOMA,)
    assert series.notes == (*a_series().notes, "Glioma: taken out of this result, a reader found it wrong")


def test_a_wrong_place_leaves_the_finding_without_it() -> None:
    [series] = amended(a_reading(), [wrong(PLACE)]).series
    glioma, other = series.findings
    assert (glioma.positive, other) == (True, MENINGIOMA)
    assert glioma.localisation is not None
    assert (glioma.localisation.status, glioma.localisation.regions) == ("failed", ())
    assert "found its place wrong" in glioma.localisation.reason
    assert "without its place" in series.notes[-1]


@pytest.mark.parametrize(
    "changes",
    [
        {"finding": "metastasis"},
        {"series_key": "9.9"},
        {"engine": "other@1.0.0"},
        {"logit": 2.0 + 2 * SAME_LOGIT},
    ],
    ids=lambda one: next(iter(one)),
)
def test_what_is_about_another_finding_series_version_or_image_changes_nothing(changes: dict[str, Any]) -> None:
    assert amended(a_reading(), [wrong(**changes)]) == a_reading()


def test_a_finding_below_its_threshold_is_left() -> None:
    below = replace(GLIOMA, positive=False, localisation=None)
    reading = Reading(study_instance_uid="1", series=(make_series(below, MENINGIOMA),))
    assert amended(reading, [wrong()]) == reading


@given(st.lists(st.sampled_from([FINDING, PLACE]), max_size=4))
def test_the_latest_word_on_a_finding_holds_and_no_other_finding_changes(whats: list[What]) -> None:
    [series] = amended(a_reading(), [wrong(one) for one in whats]).series
    assert series.findings[-1] == MENINGIOMA
    assert (len(series.findings) == 1) is (whats[-1:] == [FINDING])
