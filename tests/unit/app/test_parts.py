"""What the settings say of completeness and of waiting reaches the coordinator."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from radiolucent.app.parts import compose
from radiolucent.errors import SetupError
from radiolucent.pipeline import workflows
from radiolucent.pipeline.coordinating import is_complete
from radiolucent.settings import Settings, load_settings
from radiolucent.store.instances import Instances, NewInstance, StudyHeader
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(data_folder=folder, work={"engines": ()}, **more)  # type: ignore[arg-type]


def receive(store: Store, series: str, description: str, number: int) -> None:
    for index in range(number):
        new = NewInstance(
            sop_instance_uid=f"{series}.{index}",
            sop_class_uid="1.2",
            series_instance_uid=series,
            study_instance_uid="1.1",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            digest=f"{series}.{index}",
            path=f"{series}.{index}",
            size_bytes=1,
            source_kind="c-store",
            association_id="a",
        )
        with store.begin() as work:
            Instances(work).add(new, StudyHeader(modality="MR", series_description=description), at=NOW)


def test_a_site_s_rule_on_series_keeps_a_study_waiting_until_they_have_come(tmp_path: Path) -> None:
    rule = {"modality": "MR", "descriptions": ["*t1*", "*flair*"], "minimum_instances": 2}
    parts = compose(settings(tmp_path, assembly={"expected_series": [rule]}))
    queue = workflows.Queue(parts.database)
    patience = parts.coordinator(queue).patience

    def complete(after_s: float) -> bool:
        with parts.store.read() as work:
            [progress] = Studies(work).arriving()
        return is_complete(progress, patience, NOW + timedelta(seconds=after_s))

    receive(parts.store, "1.1.1", "AX T1 POST", 2)
    assert not complete(600)
    receive(parts.store, "1.1.2", "AX FLAIR", 1)
    assert not complete(600)
    receive(parts.store, "1.1.3", "SAG FLAIR", 2)
    assert complete(21)
    queue.close()
    parts.store.close()


def test_nobody_waits_where_nobody_is_asked(tmp_path: Path) -> None:
    pacs = {"name": "a", "kind": "dicomweb", "url": "http://a"}
    for more, priors_s, order_s in (
        ({"pacs": [pacs]}, 0.0, 0.0),
        ({"pacs": [{**pacs, "priors": True}]}, 60.0, 0.0),
        ({"worklist": {"host": "ris", "called_ae": "RIS", "wait_s": 3}}, 0.0, 3.0),
    ):
        parts = compose(settings(tmp_path, **more))
        assert (parts.waiting.priors_s, parts.waiting.order_s) == (priors_s, order_s)
        parts.store.close()


def test_a_way_in_that_does_not_fit_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'data_folder = "{tmp_path}"\n[[watched_folders]]\nname = "in"\nfolder = "{tmp_path}/none"\n')
    with pytest.raises(SetupError, match="watched folder in"):
        compose(load_settings(file))


def test_templates_that_can_not_be_filled_stop_the_start(tmp_path: Path) -> None:
    own = tmp_path / "own" / "de"
    own.mkdir(parents=True)
    (own / "impression.j2").write_text("{{ unheard_of }}", encoding="utf-8")
    with pytest.raises(SetupError, match=r"de/impression\.j2"):
        compose(settings(tmp_path, messages={"language": "de", "templates": own.parent}))


def test_the_site_s_templates_reach_messages_and_reports(tmp_path: Path) -> None:
    own = tmp_path / "own" / "de"
    own.mkdir(parents=True)
    (own / "impression.j2").write_text("Hausbefund", encoding="utf-8")
    parts = compose(settings(tmp_path, messages={"language": "de", "templates": own.parent}))
    assert (parts.wording.language, parts.wording.templates) == ("de", own.parent)
    assert (parts.wording.voice.language, parts.wording.voice.templates) == ("de", own.parent)
    parts.store.close()
