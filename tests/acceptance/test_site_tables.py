"""A site's own tables, named in its settings, decide what its RIS, EHR and PACS are sent."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

import pydicom
import pytest

from radiolucent.app.parts import compose
from radiolucent.errors import SetupError
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.demo import CASES
from radiolucent.settings import load_settings
from tests.integration.gateways import DONE_WITHIN_S, RunningGateway, wait_for
from tests.integration.outgoing import FhirServer, ris, web

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PATIENTS = "urn:oid:1.2.3"


def changed(folder: Path, name: str, old: str, new: str) -> Path:
    """A packaged mapping with one line of the site's own."""
    text = resources.files("radiolucent.results").joinpath("mappings", name).read_text(encoding="utf-8")
    assert text.count(old) == 1
    path = folder / name
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_settings_name_the_tables_that_messages_and_objects_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("storescu") is None:
        pytest.skip("needs storescu: run scripts/install-peers")
    oru = changed(tmp_path, "oru.toml", 'processing_id = "P"', 'processing_id = "T"')
    fhir = changed(tmp_path, "fhir.toml", 'patient = ""', f'patient = "{PATIENTS}"')
    presets, captures, ehr = tmp_path / "presets.toml", tmp_path / "captures", FhirServer()
    presets.write_text(
        '[ours]\ntitle = "captures and no more"\nobjects = ["secondary-capture"]\n'
        'transfer_syntaxes = ["1.2.840.10008.1.2.1"]\nassociation = "each"\nreferences = "as-made"\n'
    )
    captures.mkdir()
    monkeypatch.setenv("RADIOLUCENT_SERVE_PRESETS", str(presets))
    case = next(one for one in CASES if one.name == "effusion")
    phantom = make_study(case.kind, case.findings, seed=case.seed)
    phantom.save(tmp_path / "sent")
    study = str(phantom.datasets[0].StudyInstanceUID)

    with ris() as receiver, web(ehr.answer) as http:
        gateway = RunningGateway(
            home=tmp_path / "site",
            quiet_s=0.2,
            work='engines = ["chest"]\n',
            extra=f'[messages]\noru_mapping = "{oru}"\nfhir_mapping = "{fhir}"\n'
            f'[[destinations]]\nname = "captures"\nkind = "folder"\nfolder = "{captures}"\npreset = "ours"\n'
            f'[[destinations]]\nname = "ris"\nkind = "mllp"\nhost = "127.0.0.1"\nport = {receiver.port}\n'
            f'[[destinations]]\nname = "ehr"\nkind = "fhir"\nurl = "{http.url}"\n',
        )
        gateway.start()
        try:
            assert gateway.send(sorted((tmp_path / "sent").glob("*.dcm"))).wait(120) == 0
            wait_for(lambda: gateway.is_done(study), DONE_WITHIN_S, "all to be delivered")
        finally:
            gateway.stop()

    (message,) = receiver.kept.values()
    assert message.split(b"\r")[0].split(b"|")[10] == b"T"
    assert f'"system": "{PATIENTS}"' in json.dumps(ehr.bundles)
    everything = {str(pydicom.dcmread(path).SOPClassUID) for path in gateway.out.rglob("*.dcm")}
    assert {str(pydicom.dcmread(path).SOPClassUID) for path in captures.rglob("*.dcm")} == {CAPTURE}
    assert len(everything) > 4


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("[messages]\noru_mapping", "version = 1"),
        ("[messages]\nfhir_mapping", "version = 1"),
        ("presets", "[ours]\ntitle = 1"),
    ],
)
def test_a_table_that_says_nothing_valid_stops_the_start(tmp_path: Path, where: str, text: str) -> None:
    table, settings = tmp_path / "table.toml", tmp_path / "settings.toml"
    table.write_text(text)
    settings.write_text(f'data_folder = "{tmp_path / "data"}"\n{where} = "{table}"\n')
    with pytest.raises(SetupError, match=r"table\.toml"):
        compose(load_settings(settings))
