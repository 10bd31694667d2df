"""Every method on a network that is one line of algebra: right cells, right size, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.errors import SetupError
from radiolucent.explain.explanation import METHODS
from radiolucent.explain.methods import Budget, ExplanationStopped, attribute, input_digest
from radiolucent.imaging.geometry import PixelRecord

Image = NDArray[np.float32]
RECORD = PixelRecord(source_shape=(48, 48))
ASKED = [key for key, method in METHODS.items() if method.needs == "forward"]
LIKES, DISLIKES = (3, 8), (9, 2)


def explain(engine: Any, image: Image, method: str, **options: Any) -> Any:
    for package in {"lime": ("lime", "sklearn"), "shap": ("shap",)}.get(method, ()):
        pytest.importorskip(package, reason=f"needs {package}: pip install 'radiolucent[explain]'")
    return attribute(engine, image, RECORD, "glioma", method, **options)


def place(index: Any) -> tuple[int, int]:
    return int(index) // 12, int(index) % 12


def on_twelve(values: Image) -> Image:
    step = values.shape[0] // 12
    return np.asarray(values.reshape(12, step, 12, step).sum(axis=(1, 3)))


@pytest.mark.parametrize("method", ASKED)
def test_what_speaks_for_is_largest_and_what_speaks_against_is_smallest(
    additive: Callable[..., Any], spot: Image, method: str
) -> None:
    budget = Budget(passes=600 if method == "shap" else 257)  # it splits pairs of cells last
    values = on_twelve(explain(additive(), spot, method, budget=budget)[0].values)
    assert place(values.argmax()) == LIKES
    assert place(values.argmin()) == DISLIKES


def test_occlusion_is_the_logit_lost_where_a_patch_is_blurred(additive: Callable[..., Any], spot: Image) -> None:
    from radiolucent.explain.methods.perturb import blurred

    found = explain(additive(), spot, "occlusion")[0]
    left = float(blurred(spot)[0, 12:16, 32:36].mean())
    assert found.values[LIKES] == pytest.approx(10 * (1 - left), abs=1e-4)
    assert found.values[0, 0] == pytest.approx(0, abs=1e-5)


def test_shap_of_an_additive_network_is_exact_and_adds_up(additive: Callable[..., Any], spot: Image) -> None:
    engine = additive()
    found = explain(engine, spot, "shap", budget=Budget(passes=1200))[0]
    lost = explain(engine, spot, "occlusion")[0]
    np.testing.assert_allclose(on_twelve(found.values), lost.values, atol=1e-4)
    assert found.missing == pytest.approx(0, abs=1e-4)


def test_hires_cam_under_mean_pooling_gives_each_cell_its_share_of_the_logit(
    additive: Callable[..., Any], spot: Image
) -> None:
    found = explain(additive(), spot, "hires-cam")[0]
    assert found.values[LIKES] == pytest.approx(10)
    assert found.values[DISLIKES] == pytest.approx(-6)
    assert found.logit == pytest.approx(4)
    assert found.missing == pytest.approx(0, abs=1e-5)


def test_hires_cam_under_log_sum_exp_weighs_cells_by_their_part_in_the_pool(
    additive: Callable[..., Any], spot: Image
) -> None:
    engine = additive("log-sum-exp")
    evidence = engine.run(spot[None]).evidence[0, 0].astype(np.float64)
    weights = np.exp(2 * (evidence - evidence.max()))
    found = explain(engine, spot, "hires-cam")[0]
    np.testing.assert_allclose(found.values, evidence * weights / weights.sum(), rtol=1e-5)
    assert found.expected_sum is None


def test_a_map_of_first_order_has_no_hires_cam(additive: Callable[..., Any], spot: Image) -> None:
    with pytest.raises(SetupError, match="needs a stated pool"):
        explain(additive("gradient"), spot, "hires-cam")


def test_grad_cam_is_the_evidence_of_the_graph_itself(additive: Callable[..., Any], spot: Image) -> None:
    engine = additive()
    found = explain(engine, spot, "grad-cam")[0]
    np.testing.assert_array_equal(found.values, engine.run(spot[None]).evidence[0, 0])
    assert found.display_scale == 4.0


@pytest.mark.parametrize("method", ["rise", "lime", "shap"])
def test_the_same_seed_gives_the_same_map_and_digest(additive: Callable[..., Any], spot: Image, method: str) -> None:
    budget = {"budget": Budget(passes=60)}
    first, again = (explain(additive(), spot, method, seed=3, **budget)[0] for _ in range(2))
    np.testing.assert_array_equal(first.values, again.values)
    assert first.digest == again.digest
    if method != "shap":  # its halving draws nothing
        other = explain(additive(), spot, method, seed=4, **budget)[0]
        assert not np.array_equal(first.values, other.values)
        assert first.digest != other.digest


@pytest.mark.parametrize("method", ASKED)
def test_all_findings_come_from_the_same_passes(additive: Callable[..., Any], spot: Image, method: str) -> None:
    engine = additive()
    found = explain(engine, spot, method, budget=Budget(passes=100))
    assert [one.finding for one in found] == ["glioma", "meningioma"]
    assert engine.images == found[0].passes
    second = on_twelve(found[1].values)
    if method != "rise":  # a hundred views are too few for it
        assert place(second.argmax()) == (6, 6)


@pytest.mark.parametrize("method", ASKED)
def test_progress_runs_to_its_end(additive: Callable[..., Any], spot: Image, method: str) -> None:
    told: list[tuple[str, int, int]] = []
    budget = Budget(passes=60, progress=lambda *step: told.append(step))
    explain(additive(), spot, method, budget=budget)
    assert told[0][1] == 0
    assert told[-1] == (method, told[-1][2], told[-1][2])
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


@pytest.mark.parametrize("method", ASKED)
def test_it_stops_when_it_is_asked_to(additive: Callable[..., Any], spot: Image, method: str) -> None:
    engine = additive()
    budget = Budget(cancel=lambda: engine.images >= 33)
    with pytest.raises(ExplanationStopped, match="as asked"):
        explain(engine, spot, method, budget=budget)
    assert engine.images < 60


def test_it_stops_when_its_time_is_over(additive: Callable[..., Any], spot: Image) -> None:
    with pytest.raises(ExplanationStopped, match="ask for fewer passes or give more time"):
        explain(additive(), spot, "occlusion", budget=Budget(limit_s=0.0))


def test_a_finding_or_method_that_does_not_exist_is_refused_with_those_that_do(
    additive: Callable[..., Any], spot: Image
) -> None:
    with pytest.raises(SetupError, match="it has glioma, meningioma"):
        attribute(additive(), spot, RECORD, "nodule", "rise")
    with pytest.raises(SetupError, match="there are grad-cam, hires-cam"):
        attribute(additive(), spot, RECORD, "glioma", "magic")
    with pytest.raises(SetupError, match="at least 3 passes"):
        attribute(additive(), spot, RECORD, "glioma", "rise", budget=Budget(passes=2))


def test_the_digest_changes_with_everything_that_the_map_depends_on(additive: Callable[..., Any], spot: Image) -> None:
    engine, rise = additive(), METHODS["rise"]
    base = input_digest(engine, spot, rise, passes=9, seed=0, finding="glioma")
    others = {
        input_digest(engine, spot + 1, rise, passes=9, seed=0, finding="glioma"),
        input_digest(engine, spot, METHODS["lime"], passes=9, seed=0, finding="glioma"),
        input_digest(engine, spot, rise, passes=8, seed=0, finding="glioma"),
        input_digest(engine, spot, rise, passes=9, seed=1, finding="glioma"),
        input_digest(engine, spot, rise, passes=9, seed=0, finding="meningioma"),
    }
    assert len(others | {base}) == 6
