"""Which of a network's results are scores, and which networks can't be asked for them."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from radiolucent.errors import InvalidBundle  # noqa: E402 - these need torch, which may be absent
from radiolucent.explain.compiler.answers import as_given, results, scores_of  # noqa: E402

nn, functional = torch.nn, torch.nn.functional


@dataclass
class Output:
    """As the libraries of language models answer."""

    logits: Any
    hidden: Any = None


class Answers(nn.Module):  # type: ignore[name-defined]
    """Three scores by a small network, and an answer made of them and of the feature map."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv, self.fc, self.answer = nn.Conv2d(1, 5, 3, 2), nn.Linear(5, 3), answer

    def forward(self, x: Any) -> Any:
        features = self.conv(x)
        return self.answer(self.fc(features.mean((2, 3))), features)


BATCH = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def scores(answer: Any, wanted: str = "") -> Any:
    whole, notes = scores_of(Answers(answer).eval(), BATCH, wanted)
    return torch.cat(whole(BATCH), 1), notes


PLAIN = scores(lambda logits, _: logits)[0]


@pytest.mark.parametrize(
    "answer",
    [
        lambda logits, _: logits,
        lambda logits, _: {"logits": logits},
        lambda logits, _: [logits[:, :1], logits[:, 1:]],
        lambda logits, _: list(logits.unbind(1)),
        lambda logits, _: logits[:, :, None, None],
        lambda logits, _: Output(logits),
        lambda logits, _: namedtuple("Named", "logits")(logits),
        lambda logits, _: {"heads": (logits[:, :2], logits[:, 2:])},
        lambda logits, _: logits.double(),
    ],
    ids=["tensor", "key", "heads", "columns", "axes of 1", "dataclass", "named tuple", "nested", "float64"],
)
def test_scores_are_found_in_whatever_they_come_in(answer: Any) -> None:
    found, notes = scores(answer)
    assert torch.equal(found, PLAIN)
    assert notes == ()


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        (lambda logits, features: (logits, features), "1 (2, 5, 7, 7)"),
        (lambda logits, features: Output(logits, features), "hidden (2, 5, 7, 7)"),
        (lambda logits, _: {"logits": logits, "p": logits.sigmoid()}, "p (2, 3)"),
        (lambda logits, _: {"p": logits.softmax(1), "logits": logits}, "p (2, 3)"),
        (lambda logits, _: (logits, torch.tensor(0.5), torch.ones(3)), "1 (), 2 (3)"),
    ],
)
def test_what_holds_no_scores_of_its_own_is_left_out_and_named(answer: Any, left: str) -> None:
    found, notes = scores(answer)
    assert torch.equal(found, PLAIN)
    assert notes == (f"left out of what the network gives: {left}",)


def test_the_result_that_is_meant_can_be_named() -> None:
    def both(logits: Any, features: Any) -> Any:
        return {"logits": logits, "embedding": features.mean((2, 3))}

    assert scores(both)[0].shape == (2, 8)
    assert torch.equal(scores(both, "logits")[0], PLAIN)
    with pytest.raises(InvalidBundle, match=r"no result 'scores'; it gives logits \(2, 3\), embedding \(2, 5\)"):
        scores(both, "scores")


def test_names_join_where_results_are_nested() -> None:
    answer = {"heads": (torch.ones(1), Output(torch.ones(2))), "none": None, "word": "x"}
    assert [(one.name, one.words) for one in results(answer)] == [
        ("heads.0", "heads.0 (1)"),
        ("heads.1.logits", "heads.1.logits (2)"),
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _, features: features, r"must give scores of shape \(N, K\), not its result \(2, 5, 7, 7\)"),
        (lambda *_: "positive", "must give scores .* not nothing"),
        (lambda logits, _: functional.dropout(logits, 0.5), "other scores when it is asked again"),
        (lambda logits, _: logits + torch.rand(()), "other scores when it is asked again"),
        (lambda logits, _: logits - logits.mean(0), "depend on the images beside it"),
        (lambda logits, _: logits @ torch.ones(4, 2), "the network fails on images .*RuntimeError: mat1 and mat2"),
        (lambda logits, _: logits / 0, "other scores when it is asked again"),
    ],
)
def test_a_network_that_can_not_be_asked_is_refused_with_what_to_change(answer: Any, why: str) -> None:
    with pytest.raises(InvalidBundle, match=why):
        scores(answer)


def test_a_network_that_writes_into_its_images_leaves_ours_alone() -> None:
    class Writes(Answers):
        def forward(self, x: Any) -> Any:
            return super().forward(x.mul_(2))

    before = BATCH.clone()
    whole, _ = scores_of(Writes(lambda logits, _: logits).eval(), BATCH)
    assert torch.equal(before, BATCH)
    assert torch.allclose(
        whole(BATCH.clone())[0], scores_of(Answers(lambda logits, _: logits), 2 * BATCH)[0](2 * BATCH)[0]
    )


def test_what_training_and_speed_put_around_a_network_is_taken_off() -> None:
    network = Answers(lambda logits, _: logits)
    optimised = nn.Module()  # what torch.compile gives: the network lies under this name
    optimised._orig_mod = nn.DataParallel(network)
    for wrapped in (nn.DataParallel(network), optimised):
        assert as_given(wrapped) == (network, ())
    assert not network.training


def test_weights_of_another_precision_become_float32_and_are_noted() -> None:
    network, notes = as_given(Answers(lambda logits, _: logits).half())
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert notes == ("weights of float16 were taken as float32",)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_torchscript_is_refused_with_what_to_do() -> None:
    traced = torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2))
    with pytest.raises(InvalidBundle, match=r"TorchScript.*name the Python class"):
        as_given(traced)


def test_several_inputs_are_refused_with_their_names() -> None:
    class Two(nn.Module):  # type: ignore[name-defined]
        def forward(self, image: Any, *, age: Any, mask: Any = None) -> Any:
            return image + age

    with pytest.raises(InvalidBundle, match=r"takes 2 inputs \(image, age\); wrap it"):
        as_given(Two())
