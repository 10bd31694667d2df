"""Settings: file, environment, what is given; each wrong one named; every one documented."""

from pathlib import Path

import pytest

from radiolucent.errors import SetupError
from radiolucent.settings import load_settings
from radiolucent.settings.loading import PREFIX, rows

ROOT = Path(__file__).parents[3]


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_environment_is_above_the_file_and_what_is_given_above_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, 'data_folder = "a"\nlog_level = "DEBUG"\n[listener]\nport = 1\nae_title = "FILE"\n')
    monkeypatch.setenv(f"{PREFIX}LISTENER__PORT", "2")
    monkeypatch.setenv(f"{PREFIX}LISTENER__CALLING_AE_TITLES", "CT1, CT2")
    monkeypatch.setenv(f"{PREFIX}DATA_FOLDER", "b")
    settings = load_settings(path, data_folder=Path("c"))
    assert (settings.listener.port, settings.listener.ae_title) == (2, "FILE")
    assert settings.listener.calling_ae_titles == ("CT1", "CT2")
    assert (settings.data_folder, settings.log_level) == (Path("c"), "DEBUG")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense = 1", "nonsense"),
        ("[listener]\nport = 99999", "listener.port"),
        ("[listener]\nae_title = 'far too long a title'", "listener.ae_title"),
        ("[listener]\ntls_key = 'k'", "go together"),
        ("[listener]\ntls_client_ca = 'k'", "needs tls_certificate"),
        ("[[destinations]]\nname = 'a'\nkind = 'cstore'", "needs host, port, called_ae"),
        ("[[destinations]]\nname = 'a'\nkind = 'fax'", "destinations.0.kind"),
        ("[[destinations]]\nname='a'\nkind='folder'\nfolder='x'\n" * 2, "two destinations"),
        ("[[pacs]]\nname='a'\nkind='dimse'\nhost='h'", "needs port, called_ae"),
        ("[[pacs]]\nname='a'\nkind='dicomweb'", "needs url"),
        ("[[pacs]]\nname='a'\nkind='dicomweb'\nurl='u'\n" * 2, "two PACS"),
        ("[[pacs]]\nname='a'\nkind='dicomweb'\nurl='u'\nwatch_body_parts=['HEAD']", "needs watch_modalities"),
        (
            "[listener]\nenabled=false\n[[pacs]]\nname='a'\nkind='dimse'\nhost='h'\nport=1\ncalled_ae='P'\nfetch_by='move'",
            "needs the listener",
        ),
        ("[[watched_folders]]\nname='a'\nfolder='x'\n" * 2, "two watched folders"),
        (
            "[listener]\ncalling_ae_titles=['CT1']\n[[pacs]]\nname='a'\nkind='dimse'\nhost='h'\nport=1\n"
            "called_ae='P'\nfetch_by='move'",
            "P isn't in listener.calling_ae_titles",
        ),
        ("[worklist]\nhost='ris'", "needs called_ae"),
        ("[reconcile]\nat='25:00'", "reconcile.at"),
        ("[[assembly.expected_series]]\nmodality='CT'\ndescriptions=[]", "assembly.expected_series"),
        ("not toml at all", "no valid TOML"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        load_settings(written(tmp_path, text))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="can't be read"):
        load_settings(tmp_path / "none.toml")


def test_no_secret_shows_in_the_text_of_the_settings(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, 'database_url = "postgresql://me:hidden@host/name"'))
    assert "hidden" not in repr(settings)
    assert "hidden" in settings.database_url.get_secret_value()


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: str(row[0]))
def test_every_setting_is_explained_and_stands_on_its_page(row: tuple[str, str, str, str]) -> None:
    name, what, _, variable = row
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert len(what) > 10
    assert f"| `{name}` | {what} |" in page
    assert not variable or f"`{variable}`" in page
