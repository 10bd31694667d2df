"""Pages with lines of Python do what they say, line by line."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "quick-start.md"


def test_every_line_of_the_page_gives_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8", optionflags=doctest.ELLIPSIS)
    assert result.attempted > 12
    assert result.failed == 0


def test_the_algebra_of_completeness_is_as_the_page_says() -> None:
    page = PAGE.with_name("explanations.md")
    result = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert result.attempted >= 10
    assert result.failed == 0
