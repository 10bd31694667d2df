"""Which layouts of labelled images can be read: one row per image, with its labels and its outlines.

Splits and groups are the layout's own. A layout is told by the columns of its ``labels.csv``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from radiolucent.errors import RadiolucentError, SetupError
from radiolucent.imaging.geometry import Float, Image, PixelRecord, Shape
from radiolucent.imaging.loading import load

Spacing = tuple[float, float]
_OVERSAMPLE = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One labelled image.

    Parameters
    ----------
    path : the image file.
    labels : finding → 1 present, 0 absent; a finding that isn't named is unknown.
    outlines : (finding, float64 ``(points, 2)`` of (row, column) in image pixels), one per polygon or box.
    outlined : True where every visible finding is outlined, so that what lies outside is background.
    spacing_mm : (between rows, between columns), or None.
    group : images of one group (patient, block) stay together in every split and bootstrap.
    subgroups : name → value, for figures per site, hardware, …; ``a+b`` belongs to both a and b.
    """

    path: Path
    labels: dict[str, float]
    outlines: tuple[tuple[str, Float], ...]
    outlined: bool
    spacing_mm: Spacing | None
    split: str
    group: str
    subgroups: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A table's columns, and how a line of it becomes a `Row`; `review` judges rows by their neighbours."""

    name: str
    columns: frozenset[str]
    read: Callable[[Path, dict[str, str]], Row]
    review: Callable[[list[Row]], list[Row]] | None = None


def read_rows(folder: Path, *, labels: str = "labels.csv", images: Path | None = None) -> list[Row]:
    """Read the table of one folder.

    Parameters
    ----------
    labels : the table, in the folder or with a path of its own.
    images : folder of the images; None takes ``folder/images``.

    Raises
    ------
    SetupError
        If the table is missing, is of no known layout, or a line of it can't be understood.
    """
    table = folder / labels
    where = images or folder / "images"
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            layout = find_layout(reader.fieldnames or (), table)
            rows = [layout.read(where, line) for line in reader]
            return layout.review(rows) if layout.review else rows
    except OSError as error:
        raise SetupError(f"{table} can't be read: --data names a folder that holds labels.csv and images/") from error
    except (KeyError, ValueError, TypeError) as error:
        raise SetupError(f"{table}: a line is not of its layout: {error}") from error


def find_layout(columns: Sequence[str], table: Path) -> Layout:
    """The layout whose columns a table has.

    Raises
    ------
    SetupError
        If there is none.
    """
    present = set(columns)
    for layout in LAYOUTS.values():
        if layout.columns <= present:
            return layout
    raise SetupError(f"{table} is of no known layout; known: {', '.join(sorted(LAYOUTS))}")


def read_pixels(path: Path) -> Image:
    """Read a PNG, JPEG or DICOM file as float32 ``(rows, columns)``, brighter is more; 8-bit files give 0 to 255.

    Raises
    ------
    SetupError
        If the file is missing or no image.
    """
    try:
        if path.suffix.lower() in (".dcm", ""):
            return np.asarray(load(path).studies[0].stacks[0].pixels[0], dtype=np.float32)
        with Pillow.open(path) as picture:
            return np.asarray(picture.convert("L"), dtype=np.float32)
    except (OSError, RadiolucentError) as error:
        raise SetupError(f"{path} can't be read as an image: check the folder and its labels.csv") from error


def draw_outlines(row: Row, finding: str, shape: Shape, record: PixelRecord | None = None) -> Image:
    """Cover of one finding's outlines, float32 ``(height, width)``: share of each pixel inside, in steps of 1/16.

    Parameters
    ----------
    shape : of the image, (rows, columns).
    record : draw on its target instead of on the image.
    """
    height, width = shape if record is None else record.target_shape
    canvas = Pillow.new("L", (width * _OVERSAMPLE, height * _OVERSAMPLE))
    pen = ImageDraw.Draw(canvas)
    for name, points in row.outlines:
        if name == finding and len(points) >= 3:
            placed = points if record is None else record.to_target(points)
            fine = (placed + 0.5) * _OVERSAMPLE - 0.5
            pen.polygon([(float(column), float(line)) for line, column in fine], fill=255, outline=255)
    cover = np.asarray(canvas, dtype=np.float32) / 255
    blocks = cover.reshape(height, _OVERSAMPLE, width, _OVERSAMPLE)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


_CHENG = {"glioma": "glioma", "meningioma": "meningioma", "pituitary": "pituitary-tumour"}


def _brain_mri_cheng(images: Path, line: dict[str, str]) -> Row:
    """T1 slices after contrast, one outlined tumour each; 256² from 512² of 0.49 mm."""
    finding = _CHENG[line["class"]]
    points = np.array(json.loads(line["polygon_xy"]), dtype=np.float64)
    return Row(
        path=images / line["file"],
        labels={name: float(name == finding) for name in _CHENG.values()},
        outlines=((finding, points[:, ::-1].copy()),),
        outlined=True,
        spacing_mm=(0.98, 0.98),
        split=line.get("split", ""),
        group=f"block-{line.get('block', line['file'])}",
    )


_BLEEDS = {
    "EDH": "epidural-haemorrhage",
    "SDH": "subdural-haemorrhage",
    "SAH": "subarachnoid-haemorrhage",
    "IPH": "intraparenchymal-haemorrhage",
    "IVH": "intraventricular-haemorrhage",
}
_ANY = "any-haemorrhage"
_MIXED = "mixed-haemorrhage"
# no spacing is known: a field of 235 mm is assumed, in which the heads of both sets are about 180 mm long
_HEAD_CT_FIELD_MM = 235.0


def _box(left: float, top: float, right: float, bottom: float) -> Float:
    return np.array([[top, left], [top, right], [bottom, right], [bottom, left]], dtype=np.float64)


def _head_ct_subtypes(images: Path, line: dict[str, str]) -> Row:
    """CT slices with boxes per kind of bleed, none of them in slices without; spacing assumed."""
    path = images / line["file"]
    with Pillow.open(path) as picture:
        width, height = picture.size
    present = {_BLEEDS[kind] for kind in line["subtypes"].split("+") if kind}
    mixed = (_MIXED,) if len(present) > 1 else ()
    outlines = []
    for kind, (x, y, wide, high) in json.loads(line["boxes_cxcywh_by_subtype"]):
        place = _box((x - wide / 2) * width, (y - high / 2) * height, (x + wide / 2) * width, (y + high / 2) * height)
        outlines += [(name, place - 0.5) for name in (_BLEEDS[kind], _ANY, *mixed)]
    millimetres = _HEAD_CT_FIELD_MM / max(width, height)
    return Row(
        path=path,
        labels={
            **{name: float(name in present) for name in _BLEEDS.values()},
            _ANY: float(bool(present)),
            _MIXED: float(bool(mixed)),
        },
        outlines=tuple(outlines),
        outlined=True,
        spacing_mm=(millimetres, millimetres),
        split=line.get("split", ""),
        group=line.get("group") or line["file"],
        subgroups={"source": "subtypes"},
    )


def _head_ct_ich(images: Path, line: dict[str, str]) -> Row:
    """Slices of whole series of spontaneous bleeds in the brain, a box around each; spacing assumed.

    Extension into ventricles or subarachnoid space isn't labelled, so it is unknown where there is a bleed.
    """
    boxes = [_box(*corners) for corners in json.loads(line["lesion_box_xyxy"] or "[]")]
    inside = _BLEEDS["IPH"]
    marked = bool(boxes) or line["oedema_mask"] == "1"
    labels = {_BLEEDS["EDH"]: 0.0, _BLEEDS["SDH"]: 0.0, inside: float(marked), _ANY: float(marked)}
    if not marked:
        labels |= {_BLEEDS["SAH"]: 0.0, _BLEEDS["IVH"]: 0.0, _MIXED: 0.0}
    millimetres = _HEAD_CT_FIELD_MM / 256
    return Row(
        path=images / line["file"],
        labels=labels,
        outlines=tuple((name, place) for place in boxes for name in (inside, _ANY)),
        outlined=bool(boxes) or not marked,
        spacing_mm=(millimetres, millimetres),
        split=line.get("split", ""),
        group=line["patient"],
        subgroups={"slice": line["slice"]},
    )


def _near_a_bleed(rows: list[Row]) -> list[Row]:
    """A slice next to one with a bleed is no negative: its labels are unknown. The slice number is no subgroup."""
    marked = {(row.group, int(row.subgroups["slice"])) for row in rows if row.labels[_ANY] == 1}
    reviewed = []
    for row in rows:
        number = int(row.subgroups["slice"])
        beside = row.labels[_ANY] == 0 and any((row.group, number + step) in marked for step in (-1, 1))
        further = any((row.group, number + step) in marked for step in (-3, -2, 2, 3))
        labels = {name: row.labels[name] for name in (_BLEEDS["EDH"], _BLEEDS["SDH"])} if beside else dict(row.labels)
        if row.labels[_ANY] == 0 and further:
            # ventricles fill beyond the slices of the clot
            labels.pop(_BLEEDS["IVH"], None)
            labels.pop(_MIXED, None)
        reviewed.append(
            replace(row, labels=labels, outlined=row.outlined and not beside, subgroups={"source": "series"})
        )
    return reviewed


def _was_reduced(line: dict[str, str]) -> bool:
    return int(line.get("original_width") or 0) > int(line.get("width") or 0)


_BONE_SITES = ("hand", "leg", "hip", "shoulder")


def _bone_fracatlas(images: Path, line: dict[str, str]) -> Row:
    """Radiographs with every fracture outlined; a film may show several sites."""
    polygons, boxes = (json.loads(line.get(name) or "[]") for name in ("polygons_xy", "boxes_xywh"))
    outlines = [np.array(points, dtype=np.float64).reshape(-1, 2)[:, ::-1].copy() for points in polygons]
    if not outlines:
        outlines = [
            np.array([[y, x], [y, x + width], [y + height, x + width], [y + height, x]])
            for x, y, width, height in boxes
        ]
    shown, hardware = line["site"].split("+"), line["hardware"] == "1"
    return Row(
        path=images / line["file"],
        labels={
            "fracture": float(line["fractured"]),
            "hardware": float(hardware),
            **{site: float(site in shown) for site in _BONE_SITES},
        },
        outlines=tuple(("fracture", points) for points in outlines),
        outlined=True,
        spacing_mm=None,
        split=line.get("split", ""),
        group=f"cluster-{line.get('cluster', line['file'])}",
        subgroups={
            "site": line["site"],
            "view": line.get("view", ""),
            "hardware": "with hardware" if hardware else "without hardware",
            "source": "reduced from more pixels" if _was_reduced(line) else "of this size",
        },
    )


_NIH = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Effusion": "effusion",
    "Infiltration": "infiltration",
    "Mass": "mass",
    "Nodule": "nodule",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
    "Consolidation": "consolidation",
    "Edema": "oedema",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Pleural_Thickening": "pleural-thickening",
    "Hernia": "hernia",
}


def _chest_nih(images: Path, line: dict[str, str]) -> Row:
    """Frontal films with fourteen labels mined from reports, nothing outlined."""
    return Row(
        path=images / line["file"],
        labels={name: float(line[theirs]) for theirs, name in _NIH.items()},
        outlines=(),
        outlined=False,
        spacing_mm=None,
        split=line.get("split", ""),
        group=f"patient-{line['patient']}",
    )


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            name="head-ct-subtypes",
            columns=frozenset({"file", "subtypes", "boxes_cxcywh_by_subtype"}),
            read=_head_ct_subtypes,
        ),
        Layout(
            name="head-ct-ich",
            columns=frozenset({"file", "patient", "slice", "oedema_mask", "lesion_box_xyxy"}),
            read=_head_ct_ich,
            review=_near_a_bleed,
        ),
        Layout(name="brain-mri-cheng", columns=frozenset({"file", "class", "polygon_xy"}), read=_brain_mri_cheng),
        Layout(name="chest-nih", columns=frozenset({"file", "patient", *_NIH}), read=_chest_nih),
        Layout(
            name="bone-fracatlas",
            columns=frozenset({"file", "fractured", "site", "hardware"}),
            read=_bone_fracatlas,
        ),
    )
}


def folder_rows(folders: list[Path]) -> Iterator[Row]:
    """Rows of several folders, in order."""
    for folder in folders:
        yield from read_rows(folder)
