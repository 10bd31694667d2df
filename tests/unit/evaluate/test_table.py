from radiolucent.evaluate.table import text


def test_a_figure_shows_its_interval_unit_and_count() -> None:
    figure = {"value": 3.04, "low": 2.0, "high": None, "n": 7}
    assert text("centroid_mm_median", figure) == "3.0 mm (2.0 to –), n = 7"


def test_a_share_of_one_keeps_its_one() -> None:
    assert text("hit_rate", {"value": 1.0, "low": 0.9, "high": 1.0, "n": 7}) == "1.000 (.900 to 1.000), n = 7"


def test_a_figure_that_could_not_be_measured_says_so() -> None:
    assert text("dice", {"value": None, "low": None, "high": None, "n": 0}) == "not measured, n = 0"
