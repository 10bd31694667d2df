import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.training.losses import cell_losses, image_loss, total_loss
from radiolucent.training.recipe import Loss


def test_the_right_logits_cost_less_than_the_wrong_ones() -> None:
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    right, wrong = torch.tensor([[4.0, -4.0], [-4.0, 4.0]]), torch.tensor([[-4.0, 4.0], [4.0, -4.0]])
    for exclusive in (True, False):
        assert image_loss(right, labels, exclusive=exclusive) < image_loss(wrong, labels, exclusive=exclusive)


def test_an_unknown_label_teaches_nothing() -> None:
    logits = torch.tensor([[3.0, -2.0]], requires_grad=True)
    image_loss(logits, torch.tensor([[1.0, float("nan")]]), exclusive=False).backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert logits.grad[0, 0] != 0


def test_an_image_without_findings_wants_all_logits_low() -> None:
    labels = torch.zeros(1, 2)
    low, high = torch.full((1, 2), -5.0), torch.full((1, 2), 5.0)
    assert image_loss(low, labels, exclusive=True) < 0.1 < image_loss(high, labels, exclusive=True)


def test_evidence_on_the_outline_is_rewarded_and_elsewhere_punished() -> None:
    cover = torch.zeros(1, 2, 6, 6)
    cover[0, 0, 2:4, 2:4] = 1
    good = torch.where(cover > 0, 8.0, -8.0)
    outlined = torch.tensor([True])
    cells, overlap = cell_losses(good, cover, outlined, inside=4.0)
    assert float(cells) < 0.01
    assert float(overlap) < 0.1
    cells, overlap = cell_losses(good.roll(2, dims=3), cover, outlined, inside=4.0)
    assert float(cells) > 0.5
    assert float(overlap) > 0.5


def test_an_image_without_outlines_gives_its_cells_no_gradient() -> None:
    evidence = torch.randn(2, 1, 4, 4, requires_grad=True)
    cover = torch.zeros(2, 1, 4, 4)
    cells, overlap = cell_losses(evidence, cover, torch.tensor([True, False]), inside=4.0)
    (cells + overlap).backward()
    assert evidence.grad is not None
    assert evidence.grad[1].abs().max() == 0
    assert evidence.grad[0].abs().max() > 0


def test_without_evidence_terms_only_the_image_teaches() -> None:
    evidence = torch.randn(1, 1, 4, 4, requires_grad=True)
    logits = torch.zeros(1, 1, requires_grad=True)
    loss = total_loss(
        logits,
        evidence,
        labels=torch.ones(1, 1),
        cover=torch.ones(1, 1, 4, 4),
        outlined=torch.tensor([True]),
        weights=Loss().unsupervised(),
        exclusive=False,
    )
    loss.backward()
    assert evidence.grad is None
    assert logits.grad is not None


def test_the_description_names_every_weight() -> None:
    text = Loss(image=0.25, evidence=7.0, overlap=3.0, inside=5.0).describe()
    assert all(number in text for number in ("0.25", "7", "3", "5"))


def test_a_doubtful_label_teaches_by_its_outline_alone() -> None:
    logits, evidence = torch.zeros(1, 1, requires_grad=True), torch.zeros(1, 1, 4, 4, requires_grad=True)
    cover = torch.zeros(1, 1, 4, 4)
    cover[0, 0, 1, 1] = 1
    total_loss(
        logits,
        evidence,
        labels=torch.ones(1, 1),
        cover=cover,
        outlined=torch.tensor([True]),
        weights=Loss(cells="independent"),
        exclusive=False,
        doubtful=torch.tensor([[True]]),
    ).backward()
    assert logits.grad is not None
    assert evidence.grad is not None
    assert float(logits.grad.abs().max()) == 0
    assert float(evidence.grad[0, 0, 1, 1]) < 0 < float(evidence.grad[0, 0, 0, 0])
