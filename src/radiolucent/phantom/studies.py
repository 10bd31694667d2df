"""Phantom studies by kind and finding: arrays for training, DICOM with exact truth for everything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.errors import SetupError
from radiolucent.phantom.bone_studies import BONE_FINDINGS, BONE_OPTIONS, draw_bone
from radiolucent.phantom.chest_lesions import CHEST_FINDINGS
from radiolucent.phantom.chest_studies import CHEST_OPTIONS, draw_chest
from radiolucent.phantom.head_studies import BRAIN_MR_OPTIONS, HEAD_CT_OPTIONS, draw_brain_mr, draw_head_ct
from radiolucent.phantom.headers import NOTICE, make_datasets
from radiolucent.phantom.picture import Draw, Picture, Request, Truth

Change = Literal["smaller", "larger", "absent", "same"]
_VOLUME: Mapping[Change, float] = {"smaller": 0.4, "larger": 1.7, "absent": 0.0, "same": 1.0}

_HEAD_CT_FINDINGS = (
    "epidural-haemorrhage",
    "subdural-haemorrhage",
    "subarachnoid-haemorrhage",
    "intraparenchymal-haemorrhage",
    "intraventricular-haemorrhage",
    "mixed-haemorrhage",
    "acute-infarct",
    "midline-shift",
)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    draw: Draw
    findings: tuple[str, ...]
    options: tuple[str, ...]


_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "brain-mr": _Kind(
            draw=draw_brain_mr, findings=("glioma", "meningioma", "pituitary-tumour"), options=BRAIN_MR_OPTIONS
        ),
        "head-ct": _Kind(draw=draw_head_ct, findings=_HEAD_CT_FINDINGS, options=HEAD_CT_OPTIONS),
        "chest-xr": _Kind(draw=draw_chest, findings=CHEST_FINDINGS, options=CHEST_OPTIONS),
        "bone-xr": _Kind(draw=draw_bone, findings=BONE_FINDINGS, options=BONE_OPTIONS),
    }
)

KINDS: tuple[str, ...] = tuple(_KINDS)
#: kind → the findings that can be asked for, as the table of findings names them; a first word will do (``subdural``)
FINDINGS: Mapping[str, tuple[str, ...]] = MappingProxyType({name: kind.findings for name, kind in _KINDS.items()})


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesion:
    """The exact truth of one finding.

    Parameters
    ----------
    finding : name in the table of findings.
    variant : what kind of it (``ring``, ``lens`` …).
    mask : bool (frames, rows, columns), frames in the order of the study's datasets.
    centroid_mm : patient coordinates; None where the images have no place in the patient (radiographs).
    centroid_pixel : (frame, row, column), whole numbers are pixel centres.
    volume_ml : None for radiographs.
    extras : ``diameter_mm`` (of a circle with the area of the largest section), ``midline_shift_mm`` …
    """

    finding: str
    variant: str = ""
    mask: NDArray[np.bool_]
    centroid_mm: tuple[float, float, float] | None
    centroid_pixel: tuple[float, float, float]
    volume_ml: float | None
    extras: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class PhantomStudy:
    """One synthetic study and the truth about it.

    Parameters
    ----------
    datasets : complete instances with pixel data and file meta, in reading order.
    findings, options : as asked for.
    """

    kind: str
    seed: int
    datasets: tuple[Dataset, ...]
    lesions: tuple[Lesion, ...]
    description: str
    findings: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> list[Path]:
        """Write ``001.dcm`` …, ``truth.json`` and, where there are lesions, their masks as ``truth.npz``."""
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for index, dataset in enumerate(self.datasets):
            path = folder / f"{index + 1:03d}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            written.append(path)
        keys = _keys(self.lesions)
        path = folder / "truth.json"
        path.write_text(json.dumps(self._truth(keys), indent=1) + "\n", encoding="utf-8")
        written.append(path)
        if self.lesions:
            masks: dict[str, Any] = {key: lesion.mask for key, lesion in zip(keys, self.lesions, strict=True)}
            np.savez_compressed(folder / "truth.npz", **masks)
            written.append(folder / "truth.npz")
        return written

    def _truth(self, keys: Sequence[str]) -> dict[str, Any]:
        return {
            "notice": NOTICE,
            "kind": self.kind,
            "seed": self.seed,
            "description": self.description,
            "study_instance_uid": str(self.datasets[0].StudyInstanceUID),
            "sop_instance_uids": [str(dataset.SOPInstanceUID) for dataset in self.datasets],
            "lesions": [
                {
                    "finding": lesion.finding,
                    "variant": lesion.variant,
                    "mask": key,
                    "frames": [int(index) for index in np.flatnonzero(lesion.mask.any(axis=(1, 2)))],
                    "centroid_mm": lesion.centroid_mm,
                    "centroid_pixel": lesion.centroid_pixel,
                    "volume_ml": lesion.volume_ml,
                    "extras": dict(lesion.extras),
                }
                for key, lesion in zip(keys, self.lesions, strict=True)
            ],
        }


def make_study(
    kind: str,
    findings: Sequence[str] = (),
    *,
    seed: int,
    prior_of: PhantomStudy | None = None,
    change: Change = "smaller",
    **options: Any,
) -> PhantomStudy:
    """Make one study.

    Parameters
    ----------
    kind : one of `KINDS`.
    findings : from ``FINDINGS[kind]``; none for a healthy study.
    seed : of patient, anatomy, lesions and scan: the same arguments give the same bytes.
    prior_of : make an earlier study of the same patient instead; `findings` and `options` default to that study's.
    change : how the lesions of the prior differ from now.
    options : ``rows``, ``slices``, ``age_years``, ``sex`` and what the kind knows besides.

    Raises
    ------
    SetupError
        If kind, finding, option or change is unknown, or `prior_of` is of another kind.
    """
    if prior_of is None:
        request = _request(kind, findings, seed=seed, options=options)
        return _study(kind, request, days_earlier=0)
    if prior_of.kind != kind:
        raise SetupError(f"a prior of a {prior_of.kind} study must be {prior_of.kind}, not {kind}")
    if change not in _VOLUME:
        raise SetupError(f"change is one of {', '.join(_VOLUME)}, not {change!r}")
    asked = _request(kind, findings or prior_of.findings, seed=prior_of.seed, options={**prior_of.options, **options})
    request = Request(
        findings=asked.findings,
        seed=asked.seed,
        acquisition=f"prior {seed} {change}",
        volume=_VOLUME[change],
        options=asked.options,
    )
    return _study(kind, request, days_earlier=90 + seed % 200)


def arrays(
    kind: str, findings: Sequence[str] = (), *, seed: int, **options: Any
) -> tuple[NDArray[np.float32], tuple[float, float], dict[str, NDArray[np.bool_]]]:
    """Make the pixels of a study without the DICOM detour, for training.

    Returns
    -------
    (modality values float32 (frames, rows, columns), (row, column) spacing in mm,
    finding → bool mask (frames, rows, columns))

    Raises
    ------
    SetupError
        As `make_study`.
    """
    picture = _KINDS[_known(kind)].draw(_request(kind, findings, seed=seed, options=options))
    masks: dict[str, NDArray[np.bool_]] = {}
    for truth in picture.truths:
        masks[truth.finding] = truth.mask | masks[truth.finding] if truth.finding in masks else truth.mask
    return picture.pixels, picture.spacing_mm, masks


def write_studies(
    kind: str,
    findings: Sequence[str],
    n: int,
    prior: bool,
    seed: int,
    folder: Path,
    progress: Callable[[int, int], None],
    **options: Any,
) -> list[Path]:
    """Write `n` studies as ``folder/000/current/*.dcm``, with ``prior`` beside it where asked for.

    Parameters
    ----------
    progress : called with (studies done, studies in all).

    Returns
    -------
    Every file written.

    Raises
    ------
    SetupError
        As `make_study`, before anything is written.
    """
    _request(kind, findings, seed=seed, options=options)
    changes: tuple[Change, ...] = ("smaller", "larger", "absent")
    written: list[Path] = []
    for index in range(n):
        study = make_study(kind, findings, seed=seed + index, **options)
        written += study.save(folder / f"{index:03d}" / "current")
        if prior:
            earlier = make_study(
                kind, seed=seed + index, prior_of=study, change=changes[index % 3] if findings else "same"
            )
            written += earlier.save(folder / f"{index:03d}" / "prior")
        progress(index + 1, n)
    return written


def _known(kind: str) -> str:
    if kind not in _KINDS:
        raise SetupError(f"no phantom is called {kind!r}; use one of {', '.join(KINDS)}")
    return kind


def _request(kind: str, findings: Sequence[str], *, seed: int, options: Mapping[str, Any]) -> Request:
    valid = _KINDS[_known(kind)]
    unknown = set(options) - set(valid.options)
    if unknown:
        raise SetupError(f"{kind} has no option {', '.join(sorted(unknown))}; it has {', '.join(valid.options)}")
    if seed < 0:
        raise SetupError(f"seed must be 0 or more, not {seed}")
    names = tuple(dict.fromkeys(_finding(kind, name) for name in findings))
    return Request(findings=names, seed=seed, options=dict(options))


def _finding(kind: str, name: str) -> str:
    """The full name of a finding from its full name or its beginning."""
    wanted = name.strip().lower().replace(" ", "-").replace("_", "-")
    valid = FINDINGS[kind]
    if wanted in valid:
        return wanted
    matches = [other for other in valid if wanted and other.startswith(wanted)]
    if len(matches) != 1:
        raise SetupError(f"{kind} has no finding {name!r}; use {', '.join(valid)}")
    return matches[0]


def _study(kind: str, request: Request, *, days_earlier: int) -> PhantomStudy:
    picture = _KINDS[kind].draw(request)
    asked = json.dumps([sorted(request.findings), sorted(request.options.items())], default=str)
    key = f"{kind} {request.seed} {request.acquisition} {asked}"
    datasets = make_datasets(picture, kind=kind, key=key, seed=request.seed, days_earlier=days_earlier)
    found = ", ".join(truth.finding for truth in picture.truths) or "no finding"
    return PhantomStudy(
        kind=kind,
        seed=request.seed,
        datasets=datasets,
        lesions=tuple(_lesion(picture, truth) for truth in picture.truths if truth.mask.any()),
        description=f"{picture.description}: {found}",
        findings=request.findings,
        options=dict(request.options),
    )


def _lesion(picture: Picture, truth: Truth) -> Lesion:
    centroid = np.argwhere(truth.mask).mean(axis=0)
    pixel_mm2 = picture.spacing_mm[0] * picture.spacing_mm[1]
    largest = float(truth.mask.sum(axis=(1, 2)).max()) * pixel_mm2
    extras = {"diameter_mm": round(2 * float(np.sqrt(largest / np.pi)), 2), **truth.extras}
    place: tuple[float, float, float] | None = None
    volume: float | None = None
    if picture.planes:
        below = min(int(centroid[0]), len(picture.planes) - 1)
        above = min(below + 1, len(picture.planes) - 1)
        low, high = (picture.planes[index].to_patient(centroid[1:]) for index in (below, above))
        point = low + (high - low) * (centroid[0] - below)
        place = (float(point[0]), float(point[1]), float(point[2]))
        volume = float(truth.mask.sum()) * pixel_mm2 * picture.slice_spacing_mm / 1000
    return Lesion(
        finding=truth.finding,
        variant=truth.variant,
        mask=truth.mask,
        centroid_mm=place,
        centroid_pixel=(float(centroid[0]), float(centroid[1]), float(centroid[2])),
        volume_ml=volume,
        extras=extras,
    )


def _keys(lesions: Sequence[Lesion]) -> list[str]:
    """One key per lesion: its finding, numbered where there are several of it."""
    keys: list[str] = []
    for lesion in lesions:
        count = sum(other.finding == lesion.finding for other in lesions)
        number = sum(key.startswith(lesion.finding) for key in keys) + 1
        keys.append(lesion.finding if count == 1 else f"{lesion.finding}-{number}")
    return keys
