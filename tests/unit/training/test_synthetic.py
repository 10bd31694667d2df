from dataclasses import replace

import numpy as np
import pytest

from radiolucent.errors import SetupError
from radiolucent.training.recipes import find_recipe
from radiolucent.training.synthetic import synthetic_pack

SMALL = replace(find_recipe("brain-mri"), synthetic_options={"rows": [64], "slices": [6]})


def test_each_finding_comes_in_turn_and_slices_without_one_are_among_them() -> None:
    pack = synthetic_pack(SMALL, 4, seed=2)
    assert {"train"} == set(pack.split)
    assert (pack.labels.sum(axis=1) == 0).any()
    for row in range(len(pack)):
        bits = {bit for bit in range(3) if (pack.outlines[row] >> bit & 1).any()}
        assert set(np.flatnonzero(pack.labels[row]).tolist()) == bits


def test_the_same_seed_draws_the_same_slices() -> None:
    first, second = synthetic_pack(SMALL, 1, seed=1), synthetic_pack(SMALL, 1, seed=1)
    np.testing.assert_array_equal(first.images, second.images)


def test_an_engine_without_synthetic_studies_says_so() -> None:
    with pytest.raises(SetupError, match="no synthetic studies"):
        synthetic_pack(replace(SMALL, synthetic_kind=""), 1)


def test_a_count_below_one_is_refused() -> None:
    with pytest.raises(SetupError, match="positive number"):
        synthetic_pack(SMALL, 0)


def test_bleeds_of_several_kinds_are_mixed_where_they_lie_in_one_slice() -> None:
    recipe = replace(
        find_recipe("head-ct"),
        synthetic_options={"rows": [128], "slices": [12]},
        synthetic_findings=(("mixed-haemorrhage",), ("subdural-haemorrhage",)),
    )
    pack = synthetic_pack(recipe, 2, seed=2)
    kinds = [recipe.findings.index(name) for name in recipe.several["mixed-haemorrhage"]]
    mixed = recipe.findings.index("mixed-haemorrhage")
    several = pack.labels[:, kinds].sum(axis=1) > 1
    assert several.any()
    assert (pack.labels[:, mixed] == several).all()
    assert ((pack.outlines >> mixed & 1).any(axis=(1, 2)) == several).all()
