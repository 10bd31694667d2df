import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from bench.gate import shuffled
from radiolucent.engines.registry import find_bundle, installed_bundles
from radiolucent.engines.runtime import load_twin


@pytest.mark.parametrize("heads", [True, False])
def test_all_that_reads_the_features_is_shuffled_and_the_features_where_asked_for(heads: bool) -> None:
    # bone's maps are the sum of several heads: shuffling the last alone would leave most of a map
    bundle = find_bundle("bone", installed_bundles())
    sound, broken = (one.state_dict() for one in (load_twin(bundle), shuffled(bundle, heads=heads)))
    for name in ("evidence.weight", "site_heads.weight", "traits.weight", "level_heads.weight"):
        assert not torch.equal(sound[name], broken[name])
    features = [name for name in sound if name.startswith("features.") and sound[name].ndim > 1]
    assert all(torch.equal(sound[name], broken[name]) == heads for name in features)
