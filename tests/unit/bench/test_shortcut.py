"""A network that learned a marker is really one: perfect with it, blind without, and the gate holds its maps back."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: make torch")
from bench.gate import finding_of, verdicts
from bench.shortcut import TOKEN, marked, shortcut_engine
from radiolucent.engines.registry import find_bundle, installed_bundles
from radiolucent.evaluate.explanation_release import ReleaseCase, release_checks
from radiolucent.explain.gate import judge_engine
from radiolucent.imaging.geometry import PixelRecord


def head(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A disc of tissue with a brighter spot, as a network's input: air −1, tissue around 0."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:192, :192]
    picture = np.full((192, 192), -1.0)
    picture[(rows - 96) ** 2 + (columns - 96) ** 2 < 70**2] = 0.0
    top, left = random.integers(60, 120, 2)
    picture[top : top + 12, left : left + 12] = 1.4
    return (picture + 0.03 * random.standard_normal(picture.shape)).astype(np.float32)[None]


@pytest.fixture(scope="module")
def learned() -> object:
    bundle = find_bundle("brain-mri", installed_bundles())
    return shortcut_engine(
        bundle, [head(seed) for seed in range(4)], [head(seed) for seed in range(50, 54)], steps=(120, 15)
    )


def test_it_is_right_with_the_token_and_blind_without(learned: tuple[object, object]) -> None:
    assert learned[1].right > 0.9  # type: ignore[attr-defined]
    assert learned[1].without == 0  # type: ignore[attr-defined]


def test_each_of_its_maps_is_held_back_and_it_is_refused_at_release(learned: tuple[object, object]) -> None:
    engine = learned[0]
    mask = np.zeros((192, 192), dtype=bool)
    mask[60:132, 60:132] = True
    cases = [
        ReleaseCase(
            finding="glioma",
            image=marked(head(seed), 0),
            record=PixelRecord(source_shape=(192, 192)),
            mask=mask,
            centre=(96, 96),
            spacing_mm=(1.25, 1.25),
        )
        for seed in (60, 61)
    ]
    for case in cases:
        output = engine.run(case.image[None])  # type: ignore[attr-defined]
        where = finding_of(case, engine, output).localisation  # type: ignore[arg-type]
        assert where is not None
        assert where.regions[0].peak[0] < TOKEN[0].stop
        assert {found.decision for found in verdicts(engine, case).values()} == {"do-not-show"}  # type: ignore[arg-type]
    assert "pointing-game" in judge_engine(release_checks(engine, cases)).failed  # type: ignore[arg-type]
