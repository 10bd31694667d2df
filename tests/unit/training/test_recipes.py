import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

from radiolucent.engines.network import EvidenceNet
from radiolucent.engines.preprocess import RECIPES as INPUTS
from radiolucent.errors import SetupError
from radiolucent.findings.taxonomy import finding_type
from radiolucent.phantom.studies import KINDS
from radiolucent.training.recipes import RECIPES, SCOPES, find_recipe, find_scope


@pytest.mark.parametrize("engine", sorted(RECIPES))
def test_every_recipe_can_be_followed(engine: str) -> None:
    recipe = RECIPES[engine]
    assert recipe.preprocess in INPUTS
    assert not recipe.synthetic_kind or recipe.synthetic_kind in KINDS
    assert all(finding_type(name) for name in recipe.findings)
    assert recipe.canvas >= recipe.size
    assert recipe.offset + 255 * recipe.step >= 1
    weights = EvidenceNet(findings=len(recipe.findings), channels=recipe.channels, **recipe.network)
    assert 1e6 <= sum(parameter.numel() for parameter in weights.parameters()) <= 6e6
    assert engine in SCOPES


def test_an_unknown_engine_is_named_with_those_that_are_known() -> None:
    with pytest.raises(SetupError, match="brain-mri"):
        find_recipe("knee-mri")
    with pytest.raises(SetupError, match="brain-mri"):
        find_scope("knee-mri")
