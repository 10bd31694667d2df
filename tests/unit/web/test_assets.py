"""What is shipped to browsers: pinned, licensed, without inline code."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from radiolucent import web
from radiolucent.findings.reading import Finding
from radiolucent.web.pages import number, threshold
from tests.unit.findings.conftest import make_finding

ROOT = Path(web.__file__).parent
TEMPLATES = sorted((ROOT / "templates").glob("*.j2"))
PINNED = {"htmx-2.0.4.min.js": "e209dda5c8235479f3166defc7750e1dbcd5a5c1808b7792fc2e6733768fb447"}


def test_vendored_files_are_the_ones_that_were_pinned() -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (ROOT / "static/vendor").glob("*.js")}
    assert found == PINNED
    assert "BSD" in (ROOT / "static/vendor/htmx-LICENSE.txt").read_text()


def test_our_scripts_are_small() -> None:
    ours = [path for path in (ROOT / "static").rglob("*.js") if path.parent.name != "vendor"]
    assert len(ours) > 10
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in ours) < 60_000


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_inline_code_or_style_or_switches_escaping_off(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son\w+=|javascript:|<style|\|\s*safe\b", text)
    scripts = re.findall(r"<script([^>]*)>", text)
    assert all("src=" in one or 'type="application/json"' in one for one in scripts)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_changes_something_carries_the_token(path: Path) -> None:
    for form in re.findall(r"<form method=\"post\".*?</form>", path.read_text(encoding="utf-8"), re.DOTALL):
        assert "csrf" in form or 'action="/login"' in form


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_page_says_normal(path: Path) -> None:
    assert not re.search(r"\bnormal\b", path.read_text(encoding="utf-8"), re.IGNORECASE)


@pytest.mark.parametrize(
    ("probability", "words"), [(None, "0.83"), (0.5, "50%"), (0.9999, ">99%"), (0.0001, "<1%"), (0.99, "99%")]
)
def test_a_number_is_never_surer_than_its_calibration(probability: float | None, words: str) -> None:
    finding: Finding = make_finding(score=0.83, probability=probability)
    assert number(finding) == words
    assert ("%" in threshold(finding)) is (probability is not None)
