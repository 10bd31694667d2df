"""The picture of one explanation: the frame as a person sees it, the map on its method's fixed scale, the legend."""

from __future__ import annotations

from radiolucent.errors import SetupError
from radiolucent.explain.explanation import Explanation
from radiolucent.explain.overlay import overlay, png
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.body import edges
from radiolucent.imaging.pixels import display
from radiolucent.imaging.study import Stack, Study


def picture_of(explanation: Explanation, study: Study | Stack) -> bytes:
    """A PNG of the map on its frame.

    Raises
    ------
    SetupError
        If no series of the study has frames of the map's size.
    """
    stacks = (study,) if isinstance(study, Stack) else study.stacks
    shape = explanation.record.source_shape
    for stack in stacks:
        if explanation.frame < len(stack.frames):
            grey = display(stack, explanation.frame)
            if grey.shape == shape:
                break
    else:
        raise SetupError(f"no series of this study has frames of {shape[0]} x {shape[1]} pixels")
    heatmap = explanation.heatmap
    return png(
        overlay(
            grey,
            heatmap,
            0,
            None,
            finding_label=finding_type(explanation.finding).label,
            engine_label=explanation.engine,
            method=f"{explanation.method.title}, in {explanation.method.unit}s",
            place=stack.frames[explanation.frame],
            edges=edges(stack),
        )
    )
