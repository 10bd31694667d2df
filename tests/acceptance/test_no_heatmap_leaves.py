"""Where a site's profile turns localisation off, nothing that leaves in any format shows or tells a place."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from radiolucent.cli.main import app
from radiolucent.findings.reading import Reading
from radiolucent.phantom.studies import make_study
from radiolucent.results.fhir import bundle
from radiolucent.results.hl7 import oru
from radiolucent.results.insight_sheet import insight_pdf
from radiolucent.results.order import OrderFacts
from radiolucent.results.reading_json import readings_from_json, unpack_evidence

SLICES = 14
MADE_AT = datetime(2026, 11, 21, tzinfo=UTC)
PLACE_ITEMS = {"SCOORD", "SCOORD3D", "IMAGE"}
"""SR value types that point into an image or at one."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head with a tumour on its left, and its earlier study."""
    folder = tmp_path_factory.mktemp("study")
    current = make_study("brain-mr", ("glioma",), seed=5, slices=SLICES)
    current.save(folder / "current")
    make_study("brain-mr", seed=5, prior_of=current, change="smaller").save(folder / "prior")
    for part in ("current", "prior"):
        for other in [path for path in (folder / part).iterdir() if path.suffix != ".dcm"]:
            other.unlink()
    return folder


def read(study: Path, out: Path, profile: str) -> Path:
    settings = out.with_suffix(".toml")
    settings.write_text(f'version = "own"\nsite = "own"\ndefault = "{profile}"\n[findings]\n', encoding="utf-8")
    asked = ["read", study / "current", "--prior", study / "prior", "--engine", "brain-mri", "-o", out]
    result = CliRunner().invoke(app, [str(word) for word in [*asked, "--profile", settings]])
    assert result.exit_code == 0, result.stderr
    (out / "terminal.txt").write_text(result.stdout, encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def shown(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return read(study, tmp_path_factory.mktemp("shown") / "out", "localise")


@pytest.fixture(scope="module", params=["case-level", "notify"])
def out(study: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return read(study, tmp_path_factory.mktemp(request.param) / "out", request.param)


def reading_of(folder: Path) -> Reading:
    document = json.loads((folder / "reading.json").read_text(encoding="utf-8"))
    return readings_from_json(document, unpack_evidence((folder / "evidence.npz").read_bytes()))[0]


def places(folder: Path) -> list[str]:
    """What tells where each finding is: slice, centroid, sizes, side; as files and messages write it."""
    told = ["hemisphere", "most of the evidence", "evidence over"]
    for found in reading_of(folder).findings:
        if found.localisation is None:
            continue
        region = found.localisation.regions[0]
        assert region.centroid_mm is not None
        assert region.extent_mm is not None
        told += [
            *([f"slice {region.frame + 1}"] if region.frame != SLICES // 2 else []),  # the middle one is shown by rule
            "({:.1f}, {:.1f}, {:.1f})".format(*region.centroid_mm),
            "{:.0f} × {:.0f} mm".format(*region.extent_mm),
            f"{region.volume_ml:.1f} ml",
            found.localisation.laterality,
        ]
    return told


def pictures(page: Path, *, drawn_on: bool = False) -> Iterator[str]:
    """Digests of the pictures in a page, or of those alone on which the map is drawn."""
    text = page.read_text(encoding="utf-8")
    for data, words in re.findall(r'src="data:image/png;base64,([^"]+)" alt="([^"]*)"', text):
        if not drawn_on or "attention drawn on" in words:
            yield sha256(b64decode(data)).hexdigest()


def items(dataset: Any) -> Iterator[Any]:
    for item in dataset.get("ContentSequence", []):
        yield item
        yield from items(item)


def dicom(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted((folder / "dicom").rglob("*.dcm"))]


def messages(folder: Path) -> dict[str, str]:
    """What goes out by HL7 and by FHIR."""
    reading, order = reading_of(folder), OrderFacts(patient_id="P1")
    made = {f"fhir {release}": bundle(reading, order, made_at=MADE_AT, release=release) for release in ("R4B", "R5")}
    texts = {name: json.dumps(one, default=str, ensure_ascii=False) for name, one in made.items()}
    return texts | {"oru": oru(reading, order, made_at=MADE_AT).decode("utf-8")}


def test_the_same_study_shows_its_heatmap_where_the_profile_allows_it(shown: Path) -> None:
    names = {path.name for path in (shown / "dicom").rglob("*.dcm")}
    assert {"glioma-parametric-map.dcm", "glioma-segmentation.dcm", "key-objects.dcm"} <= names
    assert any("overlay" in name for name in names)
    told = (shown / "report.html").read_text(encoding="utf-8") + (shown / "terminal.txt").read_text(encoding="utf-8")
    assert sum(place in told for place in places(shown)) >= 4  # area, size, volume and side at least
    assert {"left", "right"} & set(places(shown))
    assert list(pictures(next((shown / "insight").glob("*.html")), drawn_on=True))


def test_no_map_picture_contour_or_point_is_among_the_objects(out: Path) -> None:
    objects = dicom(out)
    assert {str(one.Modality) for one in objects} <= {"SR", "PR", "KO"}
    assert not [one for one in objects if "PixelData" in one or "FloatPixelData" in one]
    for one in objects:
        graphics = [part for part in one.get("GraphicAnnotationSequence", [])]
        assert graphics == []
        assert not [item for item in items(one) if item.ValueType in PLACE_ITEMS and one.Modality == "SR"]
    assert any(one.Modality == "SR" for one in objects)


def test_no_word_of_any_object_page_or_message_tells_the_place(out: Path, shown: Path) -> None:
    told = {
        "objects": "\n".join(str(one) for one in dicom(out)),
        "report": re.sub(r"<style.*?</style>|data:[^\"]+", "", (out / "report.html").read_text("utf-8"), flags=re.S),
        "terminal": (out / "terminal.txt").read_text(encoding="utf-8"),
        **messages(out),
    }
    sheet = next((out / "insight").glob("*.html")).read_text(encoding="utf-8")
    told["insight"] = re.sub(r"<style.*?</style>|data:[^\"]+", "", sheet, flags=re.S)
    found = {
        (name, place)
        for name, text in told.items()
        for place in places(shown)
        if re.search(rf"(?<![\w-]){re.escape(place)}(?![\w-])", text)
    }
    assert found == set()


def test_the_stored_maps_are_blank_and_the_json_names_no_place(out: Path) -> None:
    maps = unpack_evidence((out / "evidence.npz").read_bytes())
    assert maps
    assert not any(np.any(one) for one in maps.values())
    document = json.loads((out / "reading.json").read_text(encoding="utf-8"))
    for found in [one for series in document["studies"][0]["series"] for one in series["findings"]]:
        assert found["frame_logits"] == []
        assert found["measurements"] == []
        assert found["explanation"] is None
        where = found["localisation"]
        assert (where is not None) == found["positive"]
        if where is not None:
            assert (where["status"], where["regions"], where["frames_involved"]) == ("withheld", [], [])
            assert (where["peak_frame"], where["laterality"], where["focality"]) == (None, "unknown", "none")


def test_no_page_holds_a_picture_of_the_place(out: Path, shown: Path) -> None:
    pages = (shown / "report.html", next((shown / "insight").glob("*.html")))
    drawn = {digest for page in pages for digest in pictures(page, drawn_on=True)}
    assert drawn
    assert drawn.isdisjoint(pictures(out / "report.html"))
    sheet = next((out / "insight").glob("*.html"))
    assert list(pictures(sheet)) == []
    assert "Place withheld" in sheet.read_text(encoding="utf-8")


def test_the_printed_sheet_holds_no_picture(out: Path, shown: Path) -> None:
    pytest.importorskip("weasyprint", reason="needs the pdf extra: pip install 'radiolucent[pdf]'")
    pages = [next((folder / "insight").glob("*.html")).read_text(encoding="utf-8") for folder in (shown, out)]
    with_picture, without = (insight_pdf(page) for page in pages)
    assert b"/Subtype /Image" in with_picture
    assert b"/Subtype /Image" not in without


def test_the_finding_itself_is_still_told_everywhere(out: Path) -> None:
    for text in [*messages(out).values(), (out / "report.html").read_text("utf-8"), (out / "terminal.txt").read_text()]:
        assert "lioma" in text
