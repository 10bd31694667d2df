"""Current and prior side by side: registered pairs reach the viewer; what has changed comes under the same rules."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from radiolucent.pipeline.alignments import FILE
from radiolucent.results.reading_json import evidence_digest
from radiolucent.web.server import create_app
from radiolucent.web.sources import FolderSource


def _viewer(room: Any, study: str, name: str = "radiologist") -> Any:
    page = room.browser(name).get(f"/studies/{study}").text
    return json.loads(page.split("data-viewer-study>", 1)[1].split("</script>", 1)[0])


def test_the_registration_of_the_reading_reaches_the_viewer(room: Any, study: str) -> None:
    view = _viewer(room, study)
    [pair] = view["alignments"]
    assert [pane["series"][0]["uid"] for pane in view["panes"]] == [pair["current"], pair["prior"]]
    matrix = np.array(pair["matrix"]).reshape(4, 4)
    assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-6)
    assert pair["note"].startswith("registered: turned")


def test_what_has_changed_is_symmetric_about_zero_and_on_the_findings_scale(room: Any, study: str) -> None:
    [finding] = [one for one in _viewer(room, study)["panes"][0]["findings"] if one["change_url"]]
    answer = room.browser("radiologist").get(finding["change_url"])
    low, high = float(answer.headers["X-Vmin"]), float(answer.headers["X-Vmax"])
    values = low + np.frombuffer(answer.content, np.uint8) / 255 * (high - low)
    assert np.abs(values).min() < 1e-9  # byte 127 is exactly nothing
    assert values.max() > finding["floor"] * finding["display_scale"]  # the prior is the same lesion, smaller
    assert float(answer.headers["X-Display-Scale"]) == finding["display_scale"]
    [event] = room.events("heatmap.sent")
    assert event.form == "change"
    trail = room.browser("auditor").get("/audit?kind=heatmap.sent").text
    assert event.sha256 in trail


def test_the_rules_of_heatmaps_hold_for_changes(room: Any, study: str) -> None:
    [finding] = [one for one in _viewer(room, study)["panes"][0]["findings"] if one["change_url"]]
    address = finding["change_url"]
    assert _viewer(room, study, "resident")["panes"][0]["findings"][0]["change_url"] is None
    assert room.browser("resident").get(address).json()["code"] == "training_required"
    room.phase("text-and-urgency")
    assert room.browser("radiologist").get(address).status_code == 404


def test_without_a_registration_no_change_is_offered(room: Any, study: str, furnished: Path, tmp_path: Path) -> None:
    for text in (None, "broken"):
        folder = tmp_path / f"demo-{text}"
        shutil.copytree(furnished, folder)
        path = folder / "glioma" / "reading" / FILE
        path.unlink()
        if text:
            path.write_text(text, encoding="utf-8")
        room.app = create_app(replace(room.premises, source=FolderSource(folder)))
        view = _viewer(room, study)
        assert view["alignments"] == []
        assert all(one["change_url"] is None for one in view["panes"][0]["findings"])
        answer = room.browser("radiologist").get(f"/api/v1/results/{study}:1/change/glioma")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_registered")


def _sent(room: Any, study: str, address: str) -> int:
    """The number of the trail's entry that this request made."""
    assert room.browser("radiologist").get(address).status_code == 200
    with room.store.read() as work:
        from radiolucent.store.audit import AuditTrail

        return int(AuditTrail(work).head().number)


def test_the_trail_draws_the_picture_again_bit_for_bit(room: Any, study: str) -> None:
    [read] = room.premises.source.summary(study).reading.series
    address = f"/studies/{study}/picture.png?series={read.key}&frame=12&finding=glioma"
    number = _sent(room, study, address)
    first = room.browser("radiologist").get(address).content
    again = room.browser("auditor").get(f"/audit/{number}/picture.png")
    assert again.content == first
    [found] = [one for one in read.findings if one.name == "glioma"]
    assert again.headers["X-Map-SHA256"] == evidence_digest(found.heatmap.evidence)


def test_a_change_is_drawn_again_and_what_was_no_map_is_not(room: Any, study: str) -> None:
    number = _sent(room, study, f"/api/v1/results/{study}:1/change/glioma")
    auditor = room.browser("auditor")
    assert auditor.get(f"/audit/{number}/picture.png").content.startswith(b"\x89PNG")
    assert auditor.get("/audit/1/picture.png").status_code == 404
    assert auditor.get("/audit/99999/picture.png").status_code == 404
    assert room.browser("radiologist").get(f"/audit/{number}/picture.png").status_code == 403


def test_a_map_that_was_touched_is_not_passed_off_as_the_one_that_was_shown(room: Any, study: str) -> None:
    from radiolucent.audit.events import HeatmapSent
    from radiolucent.store.audit import AuditTrail

    [read] = room.premises.source.summary(study).reading.series
    with room.store.begin() as work:
        event = HeatmapSent(
            at=room.clock(),
            study_instance_uid=study,
            finding="glioma",
            series=read.key,
            sha256="0" * 64,
            display_scale=4.0,
            floor=0.3,
            form="picture",
        )
        number = AuditTrail(work).append(event).number
    answer = room.browser("auditor").get(f"/audit/{number}/picture.png")
    assert answer.status_code == 409
