import numpy as np
import pytest

from radiolucent.evaluate.intervals import Figure, bootstrap


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(5, 2, size=400)
    figure = bootstrap(lambda i: float(values[i].mean()), 400)
    assert figure.value == values.mean()
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * 2 / 20, rel=0.15)
    assert figure.low < 5 < figure.high


def test_cases_of_one_group_count_as_one() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=20), 20)
    groups = [str(i // 20) for i in range(400)]
    alone = bootstrap(lambda i: float(values[i].mean()), 400)
    grouped = bootstrap(lambda i: float(values[i].mean()), 400, groups=groups)
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.arange(30.0)
    first, second = (bootstrap(lambda i: float(values[i].mean()), 30, seed=3) for _ in range(2))
    assert first == second


def test_what_cannot_be_measured_becomes_none() -> None:
    figure = bootstrap(lambda i: float("nan"), 5, n=0)
    assert figure.to_json() == {"value": None, "low": None, "high": None, "n": 0}


def test_draws_that_cannot_be_measured_are_left_out() -> None:
    figure = bootstrap(lambda i: float("nan") if (i == 0).all() else 1.0, 2)
    assert (figure.low, figure.high) == (1.0, 1.0)


def test_an_infinite_value_is_plain_json() -> None:
    assert Figure(value=float("inf"), low=1.0, high=float("inf"), n=3).to_json()["value"] is None


@pytest.mark.parametrize(("cases", "groups"), [(0, None), (2, ["a"])])
def test_no_case_or_groups_of_another_length_are_refused(cases: int, groups: list[str] | None) -> None:
    with pytest.raises(ValueError, match="cases and"):
        bootstrap(lambda i: 0.0, cases, groups=groups)
