import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.engines.features import BACKBONES, Features, LevelNorm


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_features_lie_on_a_grid_of_the_asked_stride(backbone: str, stride: int) -> None:
    features = Features(
        channels=1,
        stem=8,
        widths=[16, 16, 16, 16],
        depths=[1, 1, 1, 1],
        top=16,
        grid_stride=stride,
        norm="group",
        backbone=backbone,
        levels=False,
    ).eval()
    with torch.no_grad():
        assert features(torch.zeros(2, 1, 64, 64)).shape == (2, 16, 64 // stride, 64 // stride)


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(ValueError, match="backbone 'vgg' is not known: residual or efficientnet-lite0"):
        Features(1, 8, [16], [1], 16, 4, "group", "vgg", levels=False)


def test_level_norms_measure_the_plain_average_over_batches() -> None:
    norm = LevelNorm(2)
    norm.train()
    batches = [torch.randn(4, 2, 3, 3) * 2 + 5 for _ in range(3)]
    for batch in batches:
        norm(batch)
    torch.testing.assert_close(torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0), norm.mean)
    norm.forget()
    norm(batches[0])
    torch.testing.assert_close(batches[0].mean(dim=(0, 2, 3)), norm.mean)
