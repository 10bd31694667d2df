"""What a network doesn't say of itself: name, findings, input, scope; and the file that names its outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from radiolucent.engines.manifest import InputSpec, ScopeSpec
from radiolucent.engines.preprocess import RECIPES
from radiolucent.errors import SetupError

UNUSED = "-"
"""In a file of findings: an output of the network that the bundle doesn't keep."""


UNMEASURED = "its performance was not measured here: scores are in no relation to probabilities"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a network doesn't say of itself.

    Parameters
    ----------
    name, version, title, summary, licence : of the bundle.
    findings : taxonomy names of the kept classes, in order.
    input : recipe and size; its channels are those of the graph. With a depth the network takes whole volumes.
    scope : what the engine may be given.
    basis : what its weights were trained on.
    study_rule : how slices make a study; a network of whole volumes has its own, ``volume``.
    rows : network outputs to keep, one per finding; all where None.
    result : name of the result that holds the scores, where the network gives more; all that can be scores where empty.
    target_layer : name of the module whose output is explained; found where empty.
    mean, std : per network channel; the graph first takes ``(x - mean) / std``, after a single channel is repeated
        where the network wants several.
    display_scale : logit units at which the colour scale ends; where None, the largest evidence on the images that
        the compiler checked itself with, which is a stopgap until it is measured on real ones.
    operating_points : finding → score in (0, 1) from which it counts as present; all findings, or none at all.
    operating_rule : how they were chosen, and by whom.
    facts : sentences for the card: where network and weights come from.
    axes : of a network of whole volumes: ``zyx`` (slices, rows, columns) or MONAI's ``xyz`` (columns, rows, slices).
    """

    name: str
    version: str
    title: str
    summary: str
    licence: str
    findings: tuple[str, ...]
    input: InputSpec
    scope: ScopeSpec
    basis: Literal["real", "phantom"] = "phantom"
    study_rule: Literal["image", "largest-slice"] = "image"
    rows: tuple[int, ...] | None = None
    result: str = ""
    target_layer: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    display_scale: float | None = None
    operating_points: Mapping[str, float] = field(default_factory=dict)
    operating_rule: str = ""
    facts: tuple[str, ...] = ()
    axes: Literal["zyx", "xyz"] = "zyx"


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What the scores of a network are.

    Parameters
    ----------
    names : of the kept findings.
    rows : the outputs that they are.
    count : of all outputs, kept or not.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    count: int


def read_findings(path: Path) -> Outputs:
    """Which outputs of a network are which findings.

    Parameters
    ----------
    path : a text file with one line for each output of the network, in order: the finding's name in the taxonomy, or
        ``-`` for an output that isn't kept. What follows ``#`` is a comment; empty lines don't count.

    Raises
    ------
    SetupError
        If the file can't be read or keeps nothing.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} can't be read as a list of findings: {error}") from error
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    outputs = [line for line in lines if line]
    kept = [(name, row) for row, name in enumerate(outputs) if name != UNUSED]
    if not kept:
        raise SetupError(f"{path} names no finding; it needs one line for each output of the network")
    return Outputs(names=tuple(name for name, _ in kept), rows=tuple(row for _, row in kept), count=len(outputs))


def input_spec(text: str, *, channels: int = 1, window: Sequence[float] = ()) -> InputSpec:
    """The input table from ``RECIPE:HEIGHTxWIDTH``, or ``RECIPE:DEPTHxHEIGHTxWIDTH`` for whole volumes.

    >>> input_spec("grey:96x128").height, input_spec("grey:32x96x96").depth
    (96, 32)

    Raises
    ------
    SetupError
        If the text has another form, the recipe isn't known, or the window isn't two rising numbers.
    """
    recipe, _, size = text.partition(":")
    if recipe not in RECIPES:
        raise SetupError(f"input recipe {recipe!r} is not known; known: {', '.join(sorted(RECIPES))}")
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){1,2}", size):
        raise SetupError(f"name the input as RECIPE:HEIGHTxWIDTH or RECIPE:DEPTHxHEIGHTxWIDTH, not {text!r}")
    if window and (len(window) != 2 or not window[0] < window[1]):
        raise SetupError(f"a window is two numbers, the smaller one first, not {', '.join(map(str, window))}")
    *depth, height, width = (int(side) for side in size.split("x"))
    return InputSpec(
        recipe=recipe,
        height=height,
        width=width,
        depth=depth[0] if depth else None,
        channels=channels,
        window=(window[0], window[1]) if window else None,
    )


def scope(
    modalities: Sequence[str],
    body_parts: Sequence[str],
    views: Sequence[str],
    *,
    volumes: bool = False,
    limits: Sequence[str] = (),
) -> ScopeSpec:
    """What a network from elsewhere may be given.

    Raises
    ------
    SetupError
        If no modality is named: an engine that reads anything reads what it has never seen.
    """
    if not modalities:
        raise SetupError("name what the engine reads with --modality (such as DX, CR, CT, MR)")
    return ScopeSpec(
        modalities=[word.upper() for word in modalities],
        body_parts=[word.upper() for word in body_parts],
        views=[word.upper() for word in views],
        minimum_slices=2 if volumes else 1,
        limits=[*limits, UNMEASURED],
    )
