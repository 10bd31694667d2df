"""A site's own templates: written out, tried before use, refused with their name where they can't be filled."""

from __future__ import annotations

from pathlib import Path

import pytest

from radiolucent.errors import OutputExists
from radiolucent.findings.narrative import texts, write
from radiolucent.findings.site_templates import examples, packaged, start, tried
from radiolucent.findings.tables import InvalidTable


def test_the_packaged_templates_are_written_out_whole(tmp_path: Path) -> None:
    written = start(tmp_path / "own")
    assert {path.relative_to(tmp_path / "own").as_posix() for path in written} == set(packaged())
    assert {name.split("/")[0] for name in packaged()} == {"en", "de"}
    assert {"en/findings.j2", "en/impression.j2", "en/not_read.j2", "en/scope/ct.j2"} <= set(packaged())
    with pytest.raises(OutputExists):
        start(tmp_path / "own")


def test_templates_written_out_say_what_the_packaged_ones_say(tmp_path: Path) -> None:
    start(tmp_path / "own")
    told = tried(tmp_path / "own")
    for language in ("en", "de"):
        assert told[language] == texts(write(examples()[0], language))


def test_a_changed_template_is_what_is_told_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "impression.j2").write_text("Hausbefund: {{ positives | length }}", encoding="utf-8")
    told = tried(tmp_path)
    assert "Hausbefund: 1" in told["de"]
    assert told["en"] == texts(write(examples()[0], "en"))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("en/impression.j2", "{{ nothing_of_this_name }}", "undefined"),
        ("en/findings.j2", "{% for", "template can't be used"),
        ("de/scope/mr.j2", "{{ looked_for.missing }}", "template can't be used"),
        ("en/impresion.j2", "x", "no report has such a template"),
        ("fr/findings.j2", "x", "no report has such a template"),
    ],
)
def test_what_can_not_be_used_is_refused_by_its_name(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidTable, match=reason) as caught:
        tried(tmp_path)
    assert name in str(caught.value)


def test_a_template_can_not_reach_out_of_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "impression.j2").write_text("{{ positives.__class__.__mro__ }}", encoding="utf-8")
    with pytest.raises(InvalidTable):
        tried(tmp_path)


def test_a_folder_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="rules templates DIR --start"):
        tried(tmp_path / "nowhere")


def test_the_examples_name_nobody_and_try_each_state() -> None:
    assert {one.state for one in examples()} == {"read", "partly-read", "not-read"}
    assert {series.modality for one in examples() for series in one.series} == {"CT", "MR", "DX", "US"}
    assert all(one.study_instance_uid.startswith("2.25.") for one in examples())
