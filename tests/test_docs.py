"""The documents keep their word: links, commands, flags, targets, versions; nothing private or imaged is tracked."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from radiolucent import __version__
from radiolucent.cli.console import OK, PROBLEM, WRONG_USE
from radiolucent.cli.main import app

ROOT = Path(__file__).parent.parent


@cache
def _tracked() -> tuple[Path, ...]:
    """Files that git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


PAGES = [path for path in _tracked() if path.suffix == ".md"]
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=_named)
REQUIRED = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "NOTICE", "docs/glossary.md")


@pytest.mark.parametrize("name", REQUIRED)
def test_a_promised_document_is_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 200


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@EACH_PAGE
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    broken = []
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {page.name for page in PAGES if page.parent.name == "docs"} - {"index.md"}
    assert {name for name in pages if f"({name})" not in index} == set()


def test_every_document_that_the_code_names_exists() -> None:
    named = {
        name
        for path in _tracked()
        if path.suffix in (".py", ".toml", ".j2") and path != Path(__file__)
        for name in re.findall(r"\bdocs/[\w-]+\.md\b", path.read_text(encoding="utf-8"))
    }
    assert {name for name in named if not (ROOT / name).exists()} == set()


def _commands(page: Path) -> list[str]:
    """Lines of code on the page that call the program, up to a comment, a pipe or the end."""
    text = page.read_text(encoding="utf-8")
    fenced = "\n".join(re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    inline = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = [line.strip().removeprefix("$ ") for line in fenced.splitlines()]
    lines += [code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", inline)]
    found = [re.split(r"\s[#|>]|&&|…", line)[0].strip() for line in lines]
    return [line.removeprefix(".venv/bin/") for line in found if re.match(r"(\.venv/bin/)?radiolucent\s", line)]


def _unknown_words(command: Any, words: list[str]) -> list[str]:
    """What of the words is no command and no flag of the program; nothing where all exist."""
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in command.commands:
            return [name]
        command = command.commands[name]
    flags = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    flags |= {"--help", "-h"}
    return [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in flags]


@EACH_PAGE
def test_every_command_on_a_page_exists_with_its_flags(page: Path) -> None:
    tree = get_command(app)
    wrong = {line: unknown for line in _commands(page) if (unknown := _unknown_words(tree, shlex.split(line)[1:]))}
    assert wrong == {}


def test_the_page_of_commands_is_what_the_program_says_of_itself() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "write-commands"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@EACH_PAGE
def test_every_make_target_on_a_page_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    code = re.findall(r"`(?:\s*RADIOLUCENT_\w+=\S+ )?make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"))
    code += re.findall(r"^(?:RADIOLUCENT_\w+=\S+ )?make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(code) - targets == set()


@pytest.mark.parametrize("code", [OK, PROBLEM, WRONG_USE])
def test_the_readme_tells_each_exit_code(code: int) -> None:
    assert re.search(rf"^\| `{code}` \| \S", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_what_the_readme_says_works_is_shown_by_a_file_that_exists() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## What works today")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "| works |" in line]
    shown = [re.findall(r"`([\w./-]+/[\w./-]*)`", row) for row in rows]
    assert len(rows) > 5
    assert [row for row, paths in zip(rows, shown, strict=True) if not paths] == []
    assert [path for paths in shown for path in paths if not (ROOT / path).exists()] == []


def test_it_is_said_where_people_look_that_this_is_not_for_clinical_use() -> None:
    top = (ROOT / "README.md").read_text(encoding="utf-8")[:600].lower()
    assert "not for clinical use" in top


def test_the_version_is_the_same_everywhere_and_in_the_changelog() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
    assert re.search(rf"^## \[{re.escape(__version__)}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_every_dependency_is_pinned_and_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    every = {re.split(r"[<>=\[;]", line)[0].strip().lower() for line in [*project["dependencies"], *extras]}
    assert every - set(pinned) == set()
    core = {
        re.split(r"[<>=\[;]", line)[0].strip()
        for line in [*project["dependencies"], *project["optional-dependencies"]["torch"]]
    }
    explained = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Dependencies")[2]
    assert {name for name in core if not re.search(rf"\b{re.escape(name)}\b", explained)} == set()


PRIVATE = re.compile(
    r"(?<![\w.~$}])/(?:work|root|home|Users|opt|mnt)/\w+"
    r"|(?:https?://|@|\bhost\W{1,3})(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}\b"
    r"|https?://[\w.-]+\.(?:internal|local|lan|corp)\b"
)
PICTURES = (".dcm", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".nii", ".gz", ".ima", ".mha")
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*", b"BM6", b"\x1f\x8b")


@pytest.mark.parametrize("path", _tracked(), ids=_named)
def test_no_tracked_file_names_a_private_place(path: Path) -> None:
    if b"\0" in path.read_bytes() or path == Path(__file__):
        return
    assert PRIVATE.findall(path.read_text(encoding="utf-8")) == []


def test_no_image_is_tracked_but_pictures_made_from_phantoms() -> None:
    allowed = ROOT / "docs" / "images"
    images = [
        _named(path)
        for path in _tracked()
        if path.suffix.lower() in PICTURES
        or path.read_bytes()[:4].startswith(MAGIC)
        or path.read_bytes()[128:132] == b"DICM"
        if path.parent != allowed or path.suffix != ".png"
    ]
    assert images == []


def test_no_page_holds_a_picture_in_its_text() -> None:
    texts = {path: path.read_bytes() for path in _tracked()}
    assert [_named(path) for path, text in texts.items() if re.search(rb"base64,[A-Za-z0-9+/]{400}", text)] == []
