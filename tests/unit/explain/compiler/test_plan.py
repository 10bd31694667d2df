"""What a network doesn't say of itself is read from a list of findings and from a few words, or refused with why."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from radiolucent.errors import SetupError
from radiolucent.explain.compiler.plan import UNMEASURED, input_spec, read_findings, scope


def test_the_list_of_findings_says_what_each_output_is(tmp_path: Path) -> None:
    path = tmp_path / "findings.txt"
    path.write_text("# outputs of my network\nmass\n-  # normal\n\nnodule # small\n")
    outputs = read_findings(path)
    assert (outputs.names, outputs.rows, outputs.count) == (("mass", "nodule"), (0, 2), 3)


@pytest.mark.parametrize(
    ("text", "message"), [("# nothing\n-\n", "names no finding"), (None, "can't be read as a list of findings")]
)
def test_a_list_that_keeps_nothing_is_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "findings.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SetupError, match=message):
        read_findings(path)


def test_the_input_is_a_recipe_and_a_size_of_two_or_three_sides() -> None:
    flat = input_spec("chest-xrv:224x192", window=(0.0, 4095.0))
    assert (flat.recipe, flat.depth, flat.height, flat.width, flat.window) == ("chest-xrv", None, 224, 192, (0, 4095))
    assert input_spec("grey:32x96x128", channels=3).depth == 32


@pytest.mark.parametrize(
    ("text", "window", "message"),
    [
        ("ultrasound:64x64", (), "'ultrasound' is not known; known: .*grey"),
        ("grey", (), "RECIPE:HEIGHTxWIDTH"),
        ("grey:64", (), "RECIPE:HEIGHTxWIDTH"),
        ("grey:0x64", (), "RECIPE:HEIGHTxWIDTH"),
        ("grey:64x64", (1.0,), "a window is two numbers"),
        ("grey:64x64", (5.0, 1.0), "the smaller one first"),
    ],
)
def test_an_input_that_is_not_understood_is_refused(text: str, window: tuple[float, ...], message: str) -> None:
    with pytest.raises(SetupError, match=message):
        input_spec(text, window=window)


def test_an_engine_says_what_it_may_be_given_and_that_it_was_not_measured() -> None:
    reads = scope(["dx"], ["chest"], ["pa"], volumes=True)
    assert (reads.modalities, reads.body_parts, reads.views, reads.minimum_slices) == (["DX"], ["CHEST"], ["PA"], 2)
    assert UNMEASURED in reads.limits
    with pytest.raises(SetupError, match="--modality"):
        scope([], [], [])
