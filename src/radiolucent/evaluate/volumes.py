"""How an engine does on whole series with outlined slices: false alarms on the others, and place on the peak slice.

Layout: one folder per study, holding ``NNN.dcm`` and, for slices with a lesion, ``NNN.mask.png`` (above 0 inside).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image as Pillow

from radiolucent.engines.bundle import Bundle
from radiolucent.engines.preprocess import prepare
from radiolucent.engines.runtime import Engine, load_engine
from radiolucent.errors import SetupError
from radiolucent.evaluate.intervals import bootstrap
from radiolucent.evaluate.localisation import Placement, place
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.loading import load

Report = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """One series as the engine read it.

    Parameters
    ----------
    group : patient.
    probabilities : float64 ``(frames, K)``, calibrated where the bundle can.
    masks : bool ``(frames, rows, columns)``.
    strongest : index of the finding with the largest probability over all slices.
    peak_frame : its slice with the largest logit.
    places : frame → the strongest finding's map against the outline, for outlined frames.
    """

    name: str
    group: str
    probabilities: NDArray[np.float64]
    masks: NDArray[np.bool_]
    strongest: int
    peak_frame: int
    places: dict[int, Placement]


def evaluate_volumes(
    bundle: Bundle, folder: Path, *, draws: int = 1000, report: Report | None = None
) -> dict[str, Any]:
    """Read every series below `folder` and measure it.

    Returns
    -------
    Plain values: per slice the share of slices without an outline on which any finding is positive
    (``false_alarm_rate``) and of slices with one on which any is (``detection_rate``); ``hit_rate``, ``dice`` and
    ``centroid_mm_median`` of the strongest finding on outlined slices; the same on each series' peak slice; and one
    entry per series. Intervals are drawn by patient.

    Raises
    ------
    SetupError
        If there is no series with an outline below the folder.
    """
    studies = sorted({path.parent for path in folder.rglob("*.mask.png")})
    if not studies:
        raise SetupError(f"{folder} holds no NNN.mask.png beside NNN.dcm")
    engine = load_engine(bundle)
    volumes = []
    for index, study in enumerate(studies):
        volumes.append(read_volume(engine, study))
        if report is not None:
            report(index + 1, len(studies))
    return _summary(bundle, volumes, folder.name, draws)


def read_volume(engine: Engine, folder: Path) -> Volume:
    """Read one series and lay its outlines beside it.

    Raises
    ------
    SetupError
        If the folder holds another number of stacks than one.
    """
    bundle = engine.bundle
    stacks = [stack for study in load(folder).studies for stack in study.stacks]
    if len(stacks) != 1:
        raise SetupError(f"{folder} holds {len(stacks)} stacks of images; one was expected")
    stack = stacks[0]
    where = {frame.sop_instance_uid: index for index, frame in enumerate(stack.frames)}
    masks = np.zeros(stack.pixels.shape, dtype=np.bool_)
    for path in sorted(folder.glob("*.mask.png")):
        uid = pydicom.dcmread(path.with_name(path.name.replace(".mask.png", ".dcm")), stop_before_pixels=True)
        with Pillow.open(path) as picture:
            masks[where[str(uid.SOPInstanceUID)]] = np.asarray(picture.convert("L")) > 0
    batch, record = prepare(stack.pixels, stack.spacing_mm, bundle.manifest.input)
    output = engine.run(batch)
    probabilities = np.array(
        [
            [
                _probability(bundle, name, float(value))
                for name, value in zip(bundle.manifest.finding_names, row, strict=True)
            ]
            for row in output.logits
        ]
    )
    strongest = int(probabilities.max(axis=0).argmax())
    heatmap = Heatmap(
        evidence=np.ascontiguousarray(output.evidence[:, strongest]),
        record=record,
        display_scale=bundle.manifest.findings[strongest].display_scale,
    )
    frames = [int(frame) for frame in np.flatnonzero(masks.any(axis=(1, 2)))]
    return Volume(
        name=f"{folder.parent.name}/{folder.name}",
        group=folder.parent.name,
        probabilities=probabilities,
        masks=masks,
        strongest=strongest,
        peak_frame=int(output.logits[:, strongest].argmax()),
        places={frame: place(heatmap, frame, masks[frame], stack.spacing_mm) for frame in frames},
    )


def _summary(bundle: Bundle, volumes: Sequence[Volume], data: str, draws: int) -> dict[str, Any]:
    points = np.array([bundle.operating_point(name) for name in bundle.manifest.finding_names])
    called = [np.asarray((volume.probabilities >= points).any(axis=1)) for volume in volumes]
    drawn = [np.asarray(volume.masks.any(axis=(1, 2))) for volume in volumes]
    on_outlined = [(v.group, place) for v in volumes for place in v.places.values()]
    on_peak = [(v.group, v.places.get(v.peak_frame)) for v in volumes]

    def rate(wanted: bool) -> dict[str, Any]:
        pairs = [
            (volume.group, bool(positive))
            for volume, calls, lesion in zip(volumes, called, drawn, strict=True)
            for positive, present in zip(calls, lesion, strict=True)
            if present == wanted
        ]
        values = np.array([positive for _, positive in pairs], dtype=np.float64)
        return _figure(lambda i: float(values[i].mean()), [group for group, _ in pairs], draws)

    hits = np.array([spot is not None and spot.hit for _, spot in on_peak], dtype=np.float64)
    away = np.array([np.inf if spot is None else spot.distance_mm for _, spot in on_peak])
    groups = [group for group, _ in on_peak]
    slices = [group for group, _ in on_outlined]
    slice_hits = np.array([spot.hit for _, spot in on_outlined], dtype=np.float64)
    slice_dice = np.array([spot.dice for _, spot in on_outlined])
    slice_away = np.array([spot.distance_mm for _, spot in on_outlined])
    return {
        "schema_version": 1,
        "engine": bundle.label,
        "digest": bundle.digest,
        "data": data,
        "n": len(volumes),
        "groups": len(set(groups)),
        "false_alarm_rate": rate(False),
        "detection_rate": rate(True),
        "slices": {
            "hit_rate": _figure(lambda i: float(slice_hits[i].mean()), slices, draws),
            "dice": _figure(lambda i: float(slice_dice[i].mean()), slices, draws),
            "centroid_mm_median": _figure(lambda i: _median(slice_away[i]), slices, draws),
        },
        "peak_slice": {
            "hit_rate": _figure(lambda i: float(hits[i].mean()), groups, draws),
            "centroid_mm_median": _figure(lambda i: _median(away[i]), groups, draws),
        },
        "series": [
            {
                "name": volume.name,
                "strongest": bundle.manifest.finding_names[volume.strongest],
                "largest_probabilities": {
                    name: round(float(volume.probabilities[:, k].max()), 4)
                    for k, name in enumerate(bundle.manifest.finding_names)
                },
                "slices": len(volume.masks),
                "outlined_slices": int(lesion.sum()),
                "false_alarms": int((calls & ~lesion).sum()),
                "peak_slice_outlined": bool(lesion[volume.peak_frame]),
            }
            for volume, calls, lesion in zip(volumes, called, drawn, strict=True)
        ],
    }


def _median(values: NDArray[np.float64]) -> float:
    return float(np.quantile(values, 0.5, method="higher"))


def _figure(measure: Callable[[NDArray[np.intp]], float], groups: Sequence[str], draws: int) -> dict[str, Any]:
    if not groups:
        return {"value": None, "low": None, "high": None, "n": 0}
    return dict(bootstrap(measure, len(groups), groups=groups, draws=draws).to_json())


def _probability(bundle: Bundle, name: str, logit: float) -> float:
    value = bundle.probability(name, logit)
    return bundle.score(logit) if value is None else value
