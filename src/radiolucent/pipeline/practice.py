"""Practice cases and the gallery of failures: phantoms with known truth, and what a made-up AI says of them.

The AI here is no engine. Its maps are built from the truth, right in eleven cases and wrong in nine on purpose, so that
what a reader should have noticed is known. Every picture is drawn when it is asked for; none is kept in the project.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage import measure

from radiolucent.errors import SetupError
from radiolucent.explain.legend import font
from radiolucent.explain.overlay import overlay, plain, png
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.geometry import PixelRecord, Resize
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.lut import Voi
from radiolucent.phantom.studies import arrays

Fault = Literal["right", "wrong-place", "missed", "false-alarm", "shortcut"]
Verdict = Literal["right", "wrong-place", "wrong-finding", "missed"]
Mark = tuple[float, float]
"""(row, column) as shares of the picture's height and width, 0 to 1."""

STEP: Final = "practice:"
"""Before a case's number: under which name its answers are kept."""
ENGINE: Final = "made-up practice AI"
THRESHOLD: Final = 0.5
GRID: Final = 32
SCALE: Final = 4.0
NOTHING: Final = "nothing"
"""What a reader chooses where there is no finding of this list."""
NEAR: Final = 1 / GRID
"""How far outside the true outline a mark still counts, as a share of the picture's height: one cell of the map."""
CHOICES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "brain-mr": ("glioma", "meningioma", "pituitary-tumour"),
        "head-ct": (
            "epidural-haemorrhage",
            "subdural-haemorrhage",
            "intraparenchymal-haemorrhage",
            "intraventricular-haemorrhage",
        ),
        "chest-xr": ("effusion", "pneumothorax", "consolidation", "nodule", "mass", "cardiomegaly"),
        "bone-xr": ("fracture",),
    }
)
"""Kind of study → what a reader may choose, beside `NOTHING`."""
VERDICTS: Final[Mapping[Verdict, str]] = MappingProxyType(
    {
        "right": "right: finding and place, or rightly silent",
        "wrong-place": "right finding, wrong place",
        "wrong-finding": "wrong finding: it isn't there",
        "missed": "missed: there is something that it doesn't tell",
    }
)
_MARKER: Final[Mark] = (0.1, 0.9)
"""Where the side marker of a film stands; the table has the same numbers."""
_WINDOWS: Final = {"head-ct": (40.0, 80.0)}
_OPTIONS: Final[Mapping[str, Mapping[str, int]]] = {
    "brain-mr": {"slices": 10, "rows": 320},
    "head-ct": {"slices": 10, "rows": 320},
    "chest-xr": {"rows": 448},
    "bone-xr": {"rows": 448},
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One picture and what the AI says of it.

    Parameters
    ----------
    draws : finding of the phantom, empty for a healthy one.
    fault : how the AI is wrong, or ``right``.
    says : the finding that the AI tells, empty where it is silent.
    place : middle of the map, where it isn't the truth's.
    strength : largest evidence over the fixed end of the colours.
    lesson : told with the truth.
    """

    kind: str
    seed: int
    draws: str = ""
    fault: Fault = "right"
    says: str = ""
    place: Mark | None = None
    strength: float = 1.3
    lesson: str

    @property
    def truth(self) -> str:
        """The finding that is there, as the table of findings names it; empty where there is none."""
        return "fracture" if self.draws.endswith("fracture") else self.draws

    @property
    def verdict(self) -> Verdict:
        """What a reader should say of the AI."""
        if self.fault == "missed":
            return "missed"
        if self.fault == "right":
            return "right"
        return "wrong-place" if self.truth == self.says else "wrong-finding"

    @property
    def score(self) -> float:
        """The AI's score of what it says; made up, under the threshold where it is silent."""
        share = np.random.default_rng(self.seed).uniform()
        return round(float(0.62 + 0.34 * share if self.says else 0.05 + 0.3 * share), 2)


def _case(row: Mapping[str, Any]) -> Case:
    own = {key: value for key, value in row.items() if key not in ("name", "title")}
    if "place" in own:
        own["place"] = tuple(own["place"])
    return Case(**own)


_TABLE: Final = tomllib.loads((Path(__file__).parent / "practice.toml").read_text(encoding="utf-8"))
CASES: Final[tuple[Case, ...]] = tuple(_case(row) for row in _TABLE["case"])
"""In the order of the training; numbers shown to people count from 1."""
GALLERY: Final[Mapping[str, tuple[str, Case]]] = MappingProxyType(
    {row["name"]: (row["title"], _case(row)) for row in _TABLE["failure"]}
)
"""Name → title and case, in the order of the page; the true outline is always drawn."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """What is drawn of a case.

    Parameters
    ----------
    grey : uint8 ``(rows, columns)``; of a volume the slice with most of the truth, or its middle.
    truth : bool ``(rows, columns)``.
    heatmap : None where the AI is silent.
    """

    grey: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    heatmap: Heatmap | None


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a reader did: the own finding, its place (None where there is nothing to place), the verdict on the AI."""

    finding: bool
    place: bool | None
    verdict: bool

    @property
    def all_right(self) -> bool:
        """Nothing was wrong."""
        return self.finding and self.place is not False and self.verdict


@lru_cache(maxsize=32)
def make_picture(case: Case) -> Picture:
    """Draw the phantom and the AI's map; the same case gives the same bytes. Takes about half a second."""
    pixels, _, masks = arrays(
        case.kind, (case.draws,) if case.draws else (), seed=case.seed, **dict(_OPTIONS[case.kind])
    )
    whole = next(iter(masks.values()), np.zeros(pixels.shape, dtype=bool))
    index = int(whole.sum(axis=(1, 2)).argmax()) if whole.any() else len(pixels) // 2
    grey = _grey(case.kind, pixels, index)
    if case.kind.endswith("-xr"):
        grey = _marked(grey)
    truth = whole[index]
    return Picture(grey=grey, truth=truth, heatmap=_heatmap(case, truth) if case.says else None)


def image_png(case: Case) -> bytes:
    """The image alone."""
    return png(plain(make_picture(case).grey))


def ai_png(case: Case, *, outline: bool = False) -> bytes:
    """The image with the AI's map and legend, or without where it is silent; `outline` draws the truth, too."""
    picture = make_picture(case)
    grey = picture.grey
    if picture.heatmap is None:
        drawn = plain(grey)
    else:
        label = finding_type(case.says).label
        drawn = overlay(grey, picture.heatmap, 0, None, finding_label=label, engine_label=ENGINE, method="made-up map")
    return png(_outlined(drawn, picture.truth, None) if outline else drawn)


def truth_png(case: Case, mark: Mark | None) -> bytes:
    """The image with the true outline, and a cross where the reader set a mark."""
    picture = make_picture(case)
    return png(_outlined(plain(picture.grey), picture.truth, mark))


def judge(case: Case, *, finding: str, mark: Mark | None, verdict: str) -> Score:
    """How well a reading fits the truth.

    Parameters
    ----------
    finding : of `CHOICES`, or `NOTHING`.
    mark : where the reader saw it; None where nothing was seen.

    Raises
    ------
    SetupError
        If `finding` or `verdict` isn't one that can be chosen.
    """
    if finding not in (*CHOICES[case.kind], NOTHING) or verdict not in VERDICTS:
        raise SetupError("choose one of the findings and verdicts on the page")
    place = None
    if case.truth:
        place = mark is not None and _near(make_picture(case).truth, mark)
    return Score(finding=finding == (case.truth or NOTHING), place=place, verdict=verdict == case.verdict)


def said_of(done: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What a reader has said of a case so far (finding, mark, then verdict and score), from the steps kept of them."""
    return dict(done.get(f"{STEP}{number}", {}))


def finished(done: Mapping[str, Any]) -> dict[int, Score]:
    """The cases that a reader has been through, by number from 1, and how well."""
    every = {number: said_of(done, number) for number in range(1, len(CASES) + 1)}
    return {number: Score(**said["score"]) for number, said in every.items() if "score" in said}


def summary(scores: Sequence[Score]) -> dict[str, tuple[int, int]]:
    """What was right, of how many: own finding, place, verdict on the AI."""
    places = [one.place for one in scores if one.place is not None]
    return {
        "finding": (sum(one.finding for one in scores), len(scores)),
        "place": (sum(places), len(places)),
        "verdict": (sum(one.verdict for one in scores), len(scores)),
    }


def _near(truth: NDArray[np.bool_], mark: Mark) -> bool:
    rows, columns = truth.shape
    row, column = min(int(mark[0] * rows), rows - 1), min(int(mark[1] * columns), columns - 1)
    away: NDArray[np.float64] = distance_transform_edt(~truth)
    return bool(away[row, column] <= NEAR * rows)


def _grey(kind: str, pixels: NDArray[np.float32], index: int) -> NDArray[np.uint8]:
    if kind in _WINDOWS:
        centre, width = _WINDOWS[kind]
    else:
        low, high = np.percentile(pixels, (0.5, 99.5))
        centre, width = float(low + high) / 2, max(float(high - low), 1.0)
    shares = Voi(center=centre, width=width, function="LINEAR_EXACT")(pixels[index])
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def _marked(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """With a side marker, as a film has one; every radiograph has it, so that it gives nothing away."""
    picture = Image.fromarray(grey)
    rows, columns = grey.shape
    place = (_MARKER[1] * columns, _MARKER[0] * rows)
    ImageDraw.Draw(picture).text(place, "L", fill=250, font=font(rows // 14), anchor="mm")
    return np.asarray(picture)


def _heatmap(case: Case, truth: NDArray[np.bool_]) -> Heatmap:
    """Evidence on a grid, negative far from its place, as an engine gives it."""
    rows, columns = truth.shape
    if case.place is None:
        share = np.asarray(Image.fromarray(truth.astype(np.float32)).resize((GRID, GRID), Image.Resampling.BOX))
        bumps = gaussian_filter(share, 0.7)
    else:
        across = (np.arange(GRID) + 0.5) / GRID
        away = (across[:, None] - case.place[0]) ** 2 + (across[None, :] - case.place[1]) ** 2
        bumps = np.exp(-away / (2 * (1.7 / GRID) ** 2))
    peak = case.strength * SCALE
    evidence = (bumps / max(float(bumps.max()), 1e-9) * (peak + 2) - 2).astype(np.float32)
    record = PixelRecord(source_shape=(rows, columns), steps=(Resize(height=rows, width=columns),))
    return Heatmap(evidence=evidence[None], record=record, display_scale=SCALE)


def _outlined(drawn: NDArray[np.uint8], truth: NDArray[np.bool_], mark: Mark | None) -> NDArray[np.uint8]:
    """With the true outline and the reader's mark; below the picture there may be a legend."""
    picture = Image.fromarray(drawn)
    scale = picture.width / truth.shape[1]
    draw: Any = ImageDraw.Draw(picture)
    find: Any = measure.find_contours
    for line in find(np.pad(truth, 1).astype(np.float64), 0.5):
        points = [((column - 0.5) * scale, (row - 0.5) * scale) for row, column in line]
        for colour, width in (((0, 0, 0), 5), ((127, 212, 255), 2)):
            draw.line(points, fill=colour, width=width)
    if mark is not None:
        row, column = mark[0] * truth.shape[0] * scale, mark[1] * picture.width
        for colour, width in (((0, 0, 0), 6), ((255, 255, 255), 2)):
            draw.line([(column - 12, row), (column + 12, row)], fill=colour, width=width)
            draw.line([(column, row - 12), (column, row + 12)], fill=colour, width=width)
    return np.asarray(picture)
