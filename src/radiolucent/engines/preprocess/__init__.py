"""What each network is fed: `prepare`, and one file per kind of image."""

from radiolucent.engines.preprocess.prepare import RECIPES, prepare

__all__ = ["RECIPES", "prepare"]
