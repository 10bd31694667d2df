"""What is measured on engines whose maps are known: right, misplaced, the same for every finding, indifferent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.errors import SetupError
from radiolucent.evaluate.explanation_release import ReleaseCase, release_checks
from radiolucent.explain.gate import judge_engine
from radiolucent.imaging.geometry import PixelRecord


def case(row: int, column: int) -> ReleaseCase:
    image, mask = np.full((1, 192, 192), -1, dtype=np.float32), np.zeros((192, 192), dtype=bool)
    image[0, row : row + 16, column : column + 16] = 3.0
    mask[row : row + 16, column : column + 16] = True
    return ReleaseCase(
        finding="glioma",
        image=image,
        record=PixelRecord(source_shape=(192, 192)),
        mask=mask,
        centre=(95.5, 95.5),
        spacing_mm=(1.25, 1.25),
    )


CASES = [case(20, 40), case(120, 100), case(60, 144)]


class Faint:
    """The same engine, its maps a hundred times weaker: they point at the same places, and nothing is ever drawn."""

    def __init__(self, inner: Any) -> None:
        self.bundle, self._inner = inner.bundle, inner

    def run(self, batch: NDArray[np.float32]) -> Any:
        output = self._inner.run(batch)
        return replace(output, evidence=output.evidence / 100)


class Moved:
    """The same engine, its maps rolled by half the image, or one map for all findings."""

    def __init__(self, inner: Any, *, shift: int = 0, same: bool = False) -> None:
        self.bundle, self._inner, self._shift, self._same = inner.bundle, inner, shift, same

    def run(self, batch: NDArray[np.float32]) -> Any:
        output = self._inner.run(batch)
        evidence = np.roll(output.evidence, self._shift, axis=(2, 3))
        return replace(output, evidence=np.repeat(evidence[:, :1], 2, axis=1) if self._same else evidence)


def test_an_engine_that_points_at_the_finding_passes(bright_spots: Any) -> None:
    engine = bright_spots()
    values = release_checks(engine, CASES, scrambled=Moved(engine, shift=24))
    assert values["focus-share"] == 1
    assert values["pointing-game"] == 1
    assert values["centre-margin"] == 1
    assert values["median-mm"] < 1
    assert values["random-logit"] == 0
    assert values["randomisation"] < 0.1
    assert judge_engine(values).passes


def test_an_engine_that_points_elsewhere_fails_by_place(bright_spots: Any) -> None:
    values = release_checks(Moved(bright_spots(), shift=24), CASES)
    assert values["pointing-game"] == 0
    assert {"pointing-game", "centre-margin", "median-mm"} <= set(judge_engine(values).failed)


def test_an_engine_whose_maps_are_never_drawn_fails_by_that(bright_spots: Any) -> None:
    values = release_checks(Faint(bright_spots()), CASES)
    assert (values["focus-share"], values["pointing-game"]) == (0, 1)
    assert "focus-share" in judge_engine(values).failed


def test_an_engine_with_one_map_for_all_findings_fails_by_that(bright_spots: Any) -> None:
    values = release_checks(Moved(bright_spots(), same=True), CASES)
    assert values["random-logit"] == pytest.approx(1)
    assert judge_engine(values).failed == ("random-logit",)


def test_a_map_that_survives_random_weights_fails_by_that(bright_spots: Any) -> None:
    engine = bright_spots()
    values = release_checks(engine, CASES, scrambled=engine)
    assert judge_engine(values).failed == ("randomisation",)


def test_without_a_spacing_nothing_is_said_in_mm(bright_spots: Any) -> None:
    assert "median-mm" not in release_checks(bright_spots(), [replace(one, spacing_mm=None) for one in CASES])


def test_nothing_is_judged_without_cases(bright_spots: Any) -> None:
    with pytest.raises(SetupError, match="without outlined cases"):
        release_checks(bright_spots(), [])
