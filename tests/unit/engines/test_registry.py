"""Which engines are installed, and that adding one is whole or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from radiolucent.engines import registry
from radiolucent.engines.registry import (
    add_bundle,
    bundle_folders,
    find_bundle,
    installed_bundles,
    load_bundle,
    newest,
    user_folder,
)
from radiolucent.errors import DigestMismatch, InvalidBundle, SetupError


@pytest.fixture(autouse=True)
def empty_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No engine is installed at first."""
    monkeypatch.setattr(registry, "PACKAGED", tmp_path / "packaged")
    monkeypatch.setenv("RADIOLUCENT_ENGINES", str(tmp_path / "engines"))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"RADIOLUCENT_ENGINES": "/srv/engines", "XDG_DATA_HOME": "/data"}, Path("/srv/engines")),
        ({"XDG_DATA_HOME": "/data"}, Path("/data/radiolucent/engines")),
        ({}, Path.home() / ".local/share/radiolucent/engines"),
        ({"RADIOLUCENT_ENGINES": "", "XDG_DATA_HOME": ""}, Path.home() / ".local/share/radiolucent/engines"),
    ],
)
def test_the_users_folder_follows_the_environment(environ: dict[str, str], expected: Path) -> None:
    assert user_folder(environ) == expected


def test_nothing_is_installed_where_no_folder_exists() -> None:
    assert installed_bundles() == []


def test_packaged_added_and_extra_bundles_are_found_newest_version_first(tiny: Any, tmp_path: Path) -> None:
    tiny.make("packaged/tiny")
    add_bundle(tiny.make("one/tiny", version="1.10.0"))
    tiny.make("extra/tiny", version="1.9.0")
    bundles = installed_bundles([tmp_path / "extra"])
    assert [bundle.label for bundle in bundles] == ["tiny@1.10.0", "tiny@1.9.0", "tiny@1.0.0"]
    assert [bundle.label for bundle in newest(bundles)] == ["tiny@1.10.0"]


def test_the_same_bundle_in_two_folders_counts_once(tiny: Any) -> None:
    add_bundle(tiny.make("packaged/tiny"))
    assert len(bundle_folders()) == 2
    assert len(installed_bundles()) == 1


def test_two_different_bundles_of_one_name_and_version_are_refused(tiny: Any) -> None:
    tiny.make("packaged/tiny")
    tiny.make("engines/tiny", files={"card.md": b"# other\n"})
    with pytest.raises(InvalidBundle, match=r"tiny@1\.0\.0 is installed twice and differs"):
        installed_bundles()


def test_a_tampered_bundle_is_refused_and_not_left_out(tiny: Any) -> None:
    folder = add_bundle(tiny.make("source/tiny")).path
    (folder / "card.md").write_bytes(b"# better figures\n")
    with pytest.raises(DigestMismatch, match=r"card\.md"):
        installed_bundles()


def test_adding_copies_the_bundle_whole_and_again_changes_nothing(tiny: Any, tmp_path: Path) -> None:
    source = tiny.make("source/tiny")
    added = add_bundle(source)
    assert added.path == tmp_path / "engines" / "tiny-1.0.0"
    assert added.digest == load_bundle(source).digest
    assert add_bundle(source).path == added.path
    assert [child.name for child in (tmp_path / "engines").iterdir()] == ["tiny-1.0.0"]


def test_adding_to_a_folder_of_ones_choice_goes_there(tiny: Any, tmp_path: Path) -> None:
    assert add_bundle(tiny.make(), tmp_path / "elsewhere").path == tmp_path / "elsewhere" / "tiny-1.0.0"


def test_adding_another_bundle_under_the_same_version_is_refused(tiny: Any) -> None:
    add_bundle(tiny.make("source/tiny"))
    with pytest.raises(InvalidBundle, match="give the new one a new version"):
        add_bundle(tiny.make("changed/tiny", files={"card.md": b"# changed\n"}))


def test_adding_a_tampered_bundle_leaves_nothing_behind(tiny: Any, tmp_path: Path) -> None:
    source = tiny.make("source/tiny")
    (source / "graph.onnx").write_bytes(b"not this")
    with pytest.raises(DigestMismatch, match=r"graph\.onnx"):
        add_bundle(source)
    assert not (tmp_path / "engines").exists()


def test_a_folder_half_copied_by_a_run_that_died_is_not_taken_for_an_engine(tiny: Any) -> None:
    tiny.make("engines/.adding-x")
    assert installed_bundles() == []


def test_a_bundle_is_found_by_name_and_version_or_as_the_newest_of_its_name(tiny: Any) -> None:
    bundles = [load_bundle(tiny.make(version, version=version)) for version in ("1.9.0", "1.10.0", "1.2.0")]
    assert find_bundle("tiny@1.2.0", bundles).label == "tiny@1.2.0"
    assert find_bundle("tiny", bundles).label == "tiny@1.10.0"
    with pytest.raises(SetupError, match=r"no engine 'chest' is installed; installed: tiny@1\.10\.0, tiny@1\.9\.0"):
        find_bundle("chest", bundles)
    with pytest.raises(SetupError, match="installed: none"):
        find_bundle("chest", [])
