"""``radiolucent explain`` as a user runs it: map, numbers and picture of each method, compared; or refused with why."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from radiolucent.phantom.studies import make_study

Run = Callable[..., str]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom whose tumour the engine finds."""
    folder: Path = tmp_path_factory.mktemp("phantom")
    make_study("brain-mr", ["meningioma"], seed=1, slices=12).save(folder)
    return folder


def asked(study: Path, *more: object) -> tuple[object, ...]:
    return ("explain", study, "--finding", "meningioma", "--engine", "brain-mri", "--threads", "1", *more)


def test_two_methods_leave_maps_pictures_and_how_far_they_agree(study: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "why"
    words = run(*asked(study, "-m", "grad-cam", "-m", "hires-cam", "-o", out))
    assert "evidence map (Grad-CAM): " in words
    assert "grad-cam and hires-cam: rank " in words
    assert "Not for clinical use." in words
    assert sorted(path.name for path in out.iterdir()) == [
        "explanation.json",
        "grad-cam.png",
        "hires-cam.png",
        "maps.npz",
    ]
    document = json.loads((out / "explanation.json").read_text(encoding="utf-8"))
    with np.load(out / "maps.npz") as maps:
        for one in document["explanations"]:
            np.testing.assert_allclose(one["values"], maps[one["method"]], atol=1e-6)
    (pair,) = document["agreement"]
    assert pair["rank_correlation"] > 0  # the same evidence, weighed
    assert 0 <= pair["overlap"] <= 1
    picture = np.asarray(Image.open(io.BytesIO((out / "grad-cam.png").read_bytes())).convert("RGB")).astype(int)
    assert np.ptp(picture, axis=2).max() > 60  # colour on grey


def test_a_frame_can_be_named_and_one_document_goes_to_stdout(study: Path, run: Run, tmp_path: Path) -> None:
    document = json.loads(run(*asked(study, "--frame", "2", "--json", "-o", tmp_path / "why")))
    (one,) = document["explanations"]
    assert (one["method"], one["frame"], one["finding"]) == ("grad-cam", 1, "meningioma")
    assert document["agreement"] == []


def test_a_map_made_before_comes_from_the_cache(study: Path, run: Run, tmp_path: Path) -> None:
    again = asked(study, "-m", "rise", "--passes", "9", "--cache", tmp_path / "kept")
    assert "from the cache" not in run(*again, "-o", tmp_path / "first")
    assert "9 passes, from the cache" in run(*again, "-o", tmp_path / "second")
    first, second = (json.loads((tmp_path / name / "explanation.json").read_text()) for name in ("first", "second"))
    assert first["explanations"][0]["values"] == second["explanations"][0]["values"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("-m", "magic"), "there are grad-cam, hires-cam"),
        (("--frame", "13"), "the series has 12 frames"),
        (("-m", "occlusion", "--limit", "0.001"), "ask for fewer passes or give more time"),
    ],
)
def test_wrong_use_says_what_there_is_and_writes_nothing(
    study: Path, run: Run, tmp_path: Path, more: tuple[str, ...], words: str
) -> None:
    said = run(*asked(study, *more, "-o", tmp_path / "why"), ends=2)
    assert words in " ".join(said.split())
    assert list(tmp_path.iterdir()) == []


def test_a_finding_that_no_engine_has_and_a_folder_that_exists_are_refused(
    study: Path, run: Run, tmp_path: Path
) -> None:
    said: Any = run("explain", study, "--finding", "gout", "-o", tmp_path / "why", ends=2)
    assert "no installed engine has a finding 'gout'" in " ".join(said.split())
    assert "name another folder" in " ".join(run(*asked(study, "-o", tmp_path), ends=2).split())
