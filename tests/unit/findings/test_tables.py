"""Reading of rule tables: packaged or a site's own, refused with a reason, and sources that can be looked up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from radiolucent.findings.tables import (
    EXPERT_DEFAULT,
    InvalidTable,
    Source,
    TableModel,
    known_source,
    read_table,
    sources,
)


class Small(TableModel):
    version: str


def written(folder: Path, data: bytes) -> Path:
    path = folder / "small.toml"
    path.write_bytes(data)
    return path


def test_a_sites_file_is_read_in_place_of_the_packaged_one(tmp_path: Path) -> None:
    assert read_table("urgency", Small, path=written(tmp_path, b'version = "7"')).version == "7"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"version = ", "no valid TOML"),
        (b"\xff\xfe", "no valid TOML"),
        (b"", "version: Field required"),
        (b'version = "1"\nmore = 2', "more: Extra inputs"),
        (b"version = 1", "version: Input should be a valid string"),
    ],
)
def test_a_file_with_a_fault_is_refused_with_the_place_of_the_fault(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(InvalidTable, match=why) as caught:
        read_table("urgency", Small, path=written(tmp_path, data))
    assert caught.value.table == "small.toml"
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="no such file"):
        read_table("urgency", Small, path=tmp_path / "none.toml")


@pytest.mark.parametrize(("key", "source"), sorted(sources().items()))
def test_a_source_can_be_looked_up(key: str, source: Source) -> None:
    if key == EXPERT_DEFAULT:
        assert source.citation == "Expert default, no source."
    else:
        assert re.search(r"\b(19|20)\d\d\b", source.citation)
        assert not source.doi or re.fullmatch(r"10\.\d{4,}/\S+", source.doi)


def test_an_unknown_source_is_refused() -> None:
    assert known_source("bullock-sdh-2006") == "bullock-sdh-2006"
    with pytest.raises(ValueError, match=r"not in sources\.toml"):
        known_source("hearsay")
