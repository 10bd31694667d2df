"""A bundle is what was signed off, or it is refused with the name of the file."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.engines.bundle import REQUIRED, SUMS, digest_of, load_bundle, load_operating_points, read_sums, sign
from radiolucent.errors import DigestMismatch, InvalidBundle

FILES = ("manifest.toml", "graph.onnx", "card.md", "calibration.json", "operating_points.json")


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_a_signed_bundle_loads_with_everything_in_it(tiny: Any) -> None:
    prior = np.full((8, 8), 0.25, dtype=np.float32)
    bundle = load_bundle(tiny.make(files={"priors.npz": npz(glioma=prior)}))
    assert bundle.label == "tiny@1.0.0"
    assert bundle.manifest.finding_names == tiny.findings
    assert np.array_equal(bundle.priors["glioma"], prior)
    assert bundle.calibration is not None
    assert bundle.operating_points is not None
    assert set(bundle.sums) == {*FILES, "priors.npz"}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_bundle_without_a_required_file_is_refused_by_that_name(tiny: Any, name: str) -> None:
    folder = tiny.make()
    (folder / name).unlink()
    with pytest.raises(InvalidBundle, match=rf"no {name}"):
        load_bundle(folder)


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_in_any_file_is_refused_by_that_name(tiny: Any, name: str) -> None:
    folder = tiny.make()
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DigestMismatch, match=rf"{name} is not the file that was signed off"):
        load_bundle(folder)


def test_a_file_that_vanished_is_refused(tiny: Any) -> None:
    folder = tiny.make()
    (folder / "calibration.json").unlink()
    with pytest.raises(DigestMismatch, match=r"calibration\.json is in SHA256SUMS, but not in the folder"):
        load_bundle(folder)


@pytest.mark.parametrize("added", ["more.bin", ".hidden", "folder"])
def test_a_file_or_folder_that_was_added_is_refused(tiny: Any, added: str) -> None:
    folder = tiny.make()
    if added == "folder":
        (folder / added).mkdir()
    else:
        (folder / added).write_bytes(b"x")
    with pytest.raises(DigestMismatch, match=rf"{added} was added"):
        load_bundle(folder)


def test_a_link_is_refused_even_where_its_target_has_the_right_content(tiny: Any) -> None:
    folder: Path = tiny.make()
    (folder / "card.md").rename(folder.parent / "card.md")
    (folder / "card.md").symlink_to(folder.parent / "card.md")
    with pytest.raises(DigestMismatch, match=r"card\.md .* not in the folder as a plain file"):
        load_bundle(folder)


def test_a_file_changed_after_loading_is_refused_when_it_is_read(tiny: Any) -> None:
    bundle = load_bundle(tiny.make())
    assert bundle.read("card.md") == b"# tiny\n"
    (bundle.path / "card.md").write_bytes(b"# TINY\n")
    with pytest.raises(DigestMismatch, match=r"card\.md"):
        bundle.read("card.md")


@pytest.mark.parametrize("line", ["nonsense", f"{'0' * 64}  ../graph.onnx", f"{'0' * 64} graph.onnx"])
def test_a_line_of_the_sums_in_another_form_is_refused(tiny: Any, line: str) -> None:
    folder = tiny.make()
    with (folder / SUMS).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InvalidBundle, match="line not understood"):
        load_bundle(folder)


def test_a_name_that_stands_twice_in_the_sums_is_refused(tiny: Any) -> None:
    folder = tiny.make()
    text = (folder / SUMS).read_text()
    (folder / SUMS).write_text(text + text.splitlines()[0] + "\n")
    with pytest.raises(InvalidBundle, match="line not understood"):
        read_sums(folder)


def test_the_digest_changes_with_any_file_but_not_with_the_order_of_the_lines(tiny: Any) -> None:
    folder = tiny.make()
    digest = load_bundle(folder).digest
    lines = (folder / SUMS).read_text().splitlines(keepends=True)
    (folder / SUMS).write_text("".join(reversed(lines)))
    assert load_bundle(folder).digest == digest
    (folder / "card.md").write_bytes(b"# another\n")
    assert sign(folder) == load_bundle(folder).digest != digest


def test_coreutils_agree_with_the_sums(tiny: Any) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("needs sha256sum: install coreutils")
    folder = tiny.make()
    assert (
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=folder, check=False).returncode == 0
    )


@pytest.mark.parametrize("odd", ["with space", "ünïcode", ".hidden"])
def test_signing_refuses_names_that_would_not_read_back(tiny: Any, odd: str) -> None:
    folder = tiny.make()
    (folder / odd).write_bytes(b"")
    with pytest.raises(InvalidBundle, match="no plain file with a plain name"):
        sign(folder)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.from_regex(r"[0-9a-f]{64}", fullmatch=True)))
def test_the_digest_tells_any_two_tables_of_sums_apart(sums: dict[str, str]) -> None:
    more = sums | {"zzzzzzzzz": "0" * 64}
    assert digest_of(sums) == digest_of(dict(reversed(sums.items())))
    assert digest_of(sums) != digest_of(more)


def test_calibration_gives_the_platt_probability_and_none_where_there_is_none(tiny: Any) -> None:
    bundle = load_bundle(tiny.make())
    assert bundle.probability("glioma", 1.5) == pytest.approx(1 / (1 + math.exp(-2.0)))
    assert bundle.probability("meningioma", 1.5) is None
    assert bundle.score(0.0) == 0.5


SPREAD = {"slope": 0.04, "intercept": 0.09, "covariance": -0.03, "groups": 20, "draws": 500}


@given(st.floats(-30, 30))
def test_the_interval_holds_the_probability_and_is_that_of_the_line(tiny_with_spread: Any, logit: float) -> None:
    value = tiny_with_spread.probability("glioma", logit)
    low, high = tiny_with_spread.probability_interval("glioma", logit)
    assert low <= value <= high
    half = 1.959964 * math.sqrt(0.04 * logit**2 - 0.06 * logit + 0.09)
    assert low == pytest.approx(1 / (1 + math.exp(-(2 * logit - 1 - half))), abs=1e-9)
    assert high == pytest.approx(1 / (1 + math.exp(-(2 * logit - 1 + half))), abs=1e-9)
    assert tiny_with_spread.probability_interval("meningioma", logit) is None


@pytest.fixture(scope="module")
def tiny_with_spread(tmp_path_factory: pytest.TempPathFactory, tiny_in: Any) -> Any:
    tiny = tiny_in(tmp_path_factory.mktemp("bundles"))
    return load_bundle(tiny.make(files={"calibration.json": tiny.calibration(spread=SPREAD)}))


def test_without_a_spread_there_is_no_interval(tiny: Any) -> None:
    assert load_bundle(tiny.make()).probability_interval("glioma", 1.0) is None
    assert load_bundle(tiny.make("bare", files={"calibration.json": None})).probability_interval("glioma", 1.0) is None


@pytest.mark.parametrize("wrong", [{"covariance": 0.1}, {"slope": -0.1}, {"groups": 1}, {"draws": 1}])
def test_a_spread_that_can_not_be_is_refused(tiny: Any, wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidBundle, match=r"calibration\.json: findings\.glioma\.spread"):
        load_bundle(tiny.make(files={"calibration.json": tiny.calibration(spread=SPREAD | wrong)}))


def test_a_bundle_without_calibration_gives_no_probability_at_all(tiny: Any) -> None:
    bundle = load_bundle(tiny.make(files={"calibration.json": None}))
    assert bundle.calibration is None
    assert bundle.probability("glioma", 1.5) is None


@pytest.mark.parametrize("logit", [-1e6, -800.0, 800.0, 1e6])
def test_far_logits_give_a_probability_without_overflow(tiny: Any, logit: float) -> None:
    bundle = load_bundle(tiny.make())
    assert bundle.probability("glioma", logit) == (1.0 if logit > 0 else 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"slope": -1.0}, "greater than 0"), ({"n": 0}, "greater than or equal to 1"), ({"extra": 1}, "not permitted")],
)
def test_a_calibration_out_of_range_is_refused(tiny: Any, changes: dict[str, Any], message: str) -> None:
    folder = tiny.make(files={"calibration.json": tiny.calibration(**changes)})
    with pytest.raises(InvalidBundle, match=rf"calibration\.json: .*{message}"):
        load_bundle(folder)


def test_a_calibration_of_a_finding_that_the_engine_has_not_is_refused(tiny: Any) -> None:
    table = tiny.calibration()
    table["findings"]["hernia"] = table["findings"]["glioma"]
    with pytest.raises(InvalidBundle, match="calibrates findings that the manifest hasn't: hernia"):
        load_bundle(tiny.make(files={"calibration.json": table}))


def test_a_file_that_is_no_json_is_refused_by_name(tiny: Any) -> None:
    with pytest.raises(InvalidBundle, match=r"tiny/calibration\.json: content: Invalid JSON"):
        load_bundle(tiny.make(files={"calibration.json": b"{"}))


def test_the_operating_point_is_the_tables_and_one_half_without_a_table(tiny: Any) -> None:
    assert load_bundle(tiny.make("with")).operating_point("glioma") == 0.4
    assert load_bundle(tiny.make("without", files={"operating_points.json": None})).operating_point("glioma") == 0.5


def test_operating_points_of_another_version_are_never_used(tiny: Any) -> None:
    folder = tiny.make(version="1.1.0", files={"operating_points.json": tiny.operating_points("tiny@1.0.0")})
    with pytest.raises(InvalidBundle, match=r"operating points for tiny@1\.0\.0; tiny@1\.1\.0 needs its own"):
        load_bundle(folder)


def test_a_site_can_bring_operating_points_of_its_own(tiny: Any, tmp_path: Path) -> None:
    manifest = load_bundle(tiny.make()).manifest
    file = tmp_path / "site.json"
    file.write_text(json.dumps(tiny.operating_points(probability=0.7)))
    assert load_operating_points(file, manifest).findings["glioma"].probability == 0.7
    with pytest.raises(InvalidBundle, match=r"none\.json doesn't exist"):
        load_operating_points(tmp_path / "none.json", manifest)


@pytest.mark.parametrize("findings", [("glioma",), ("glioma", "meningioma", "hernia")])
def test_operating_points_must_hold_exactly_the_findings_of_the_engine(tiny: Any, findings: tuple[str, ...]) -> None:
    table = tiny.operating_points(findings=findings)
    with pytest.raises(InvalidBundle, match=r"disagree on the findings: (hernia|meningioma)$"):
        load_bundle(tiny.make(files={"operating_points.json": table}))


def test_a_threshold_that_is_no_probability_is_refused(tiny: Any) -> None:
    table = tiny.operating_points(probability=1.5)
    with pytest.raises(InvalidBundle, match="less than or equal to 1"):
        load_bundle(tiny.make(files={"operating_points.json": table}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip", r"priors\.npz can't be read"),
        (npz(hernia=np.ones((4, 4), np.float32)), "which the manifest hasn't"),
        (npz(glioma=np.ones(4, np.float32)), "a prior is float32"),
        (npz(glioma=np.ones((4, 4))), "a prior is float32"),
        (npz(glioma=np.full((4, 4), np.nan, np.float32)), "a prior is float32"),
        (npz(glioma=np.full((4, 4), -1, np.float32)), "a prior is float32"),
        (npz(glioma=np.array([{}], dtype=object)), r"priors\.npz can't be read"),
    ],
)
def test_priors_that_are_no_priors_are_refused(tiny: Any, content: bytes, message: str) -> None:
    with pytest.raises(InvalidBundle, match=message):
        load_bundle(tiny.make(files={"priors.npz": content}))
