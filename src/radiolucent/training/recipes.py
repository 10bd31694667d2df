"""Which engines can be trained: every recipe and scope, by the engine's name."""

from __future__ import annotations

from radiolucent.errors import SetupError
from radiolucent.training.engines import bone, brain_mri, chest, head_ct
from radiolucent.training.recipe import EngineRecipe, Scope

_ENGINES = (bone, brain_mri, chest, head_ct)
RECIPES: dict[str, EngineRecipe] = {engine.RECIPE.engine: engine.RECIPE for engine in _ENGINES}
SCOPES: dict[str, Scope] = {engine.SCOPE.engine: engine.SCOPE for engine in _ENGINES}


def find_recipe(engine: str) -> EngineRecipe:
    """The row of an engine.

    Raises
    ------
    SetupError
        If there is none.
    """
    if engine not in RECIPES:
        raise SetupError(f"no training recipe for {engine!r}; there is one for: {', '.join(sorted(RECIPES))}")
    return RECIPES[engine]


def find_scope(engine: str) -> Scope:
    """The row of an engine.

    Raises
    ------
    SetupError
        If there is none.
    """
    if engine not in SCOPES:
        raise SetupError(f"no scope for {engine!r}; there is one for: {', '.join(sorted(SCOPES))}")
    return SCOPES[engine]
