"""Which engines are installed: those in the package and those that were added, each once, each checked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from radiolucent.engines.bundle import SUMS, Bundle, load_bundle
from radiolucent.errors import InvalidBundle, SetupError

__all__ = ["Bundle", "add_bundle", "bundle_folders", "find_bundle", "installed_bundles", "load_bundle", "newest"]

PACKAGED = Path(__file__).parent / "bundles"


def user_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where `engine add` puts bundles: ``RADIOLUCENT_ENGINES``, else below the XDG data folder.

    Source: XDG Base Directory Specification, ``XDG_DATA_HOME``.
    """
    if environ.get("RADIOLUCENT_ENGINES"):
        return Path(environ["RADIOLUCENT_ENGINES"])
    data = Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "radiolucent" / "engines"


def bundle_folders(extra_folders: Iterable[Path] = ()) -> list[Path]:
    """Every folder that claims to be a bundle (it has a manifest), unchecked: packaged, then user's, then extra."""
    found = []
    for parent in (PACKAGED, user_folder(), *extra_folders):
        if parent.is_dir():
            found += [child for child in sorted(parent.iterdir()) if (child / "manifest.toml").is_file()]
    return [folder for folder in found if not folder.name.startswith(".")]


def installed_bundles(extra_folders: Iterable[Path] = ()) -> list[Bundle]:
    """Every installed bundle, by name, the newest version of each name first, the same one only once.

    Raises
    ------
    InvalidBundle
        If one is broken, or two differ under the same ``name@version``.
    DigestMismatch
        If a file of one isn't what was signed off. Nothing is left out silently.
    """
    by_label: dict[str, Bundle] = {}
    for folder in bundle_folders(extra_folders):
        bundle = load_bundle(folder)
        other = by_label.setdefault(bundle.label, bundle)
        if other.digest != bundle.digest:
            raise InvalidBundle(f"{bundle.label} is installed twice and differs: {other.path} and {bundle.path}")
    return _in_order(by_label.values())


def newest(bundles: Iterable[Bundle]) -> list[Bundle]:
    """The highest version of each engine, by name."""
    first: dict[str, Bundle] = {}
    for bundle in _in_order(bundles):
        first.setdefault(bundle.manifest.name, bundle)
    return list(first.values())


def find_bundle(wanted: str, bundles: Iterable[Bundle]) -> Bundle:
    """A bundle by ``name@version``, or the newest one by ``name``.

    Raises
    ------
    SetupError
        If none has that name, with the names that exist.
    """
    every = _in_order(bundles)
    fitting = [bundle for bundle in every if wanted in (bundle.label, bundle.manifest.name)]
    if not fitting:
        known = ", ".join(bundle.label for bundle in every) or "none"
        raise SetupError(f"no engine {wanted!r} is installed; installed: {known}")
    return fitting[0]


def add_bundle(source: Path, folder: Path | None = None) -> Bundle:
    """Install a bundle: check it, then copy it whole or not at all.

    Parameters
    ----------
    source : folder of the bundle.
    folder : where to; `user_folder()` where None. The bundle lands in ``folder/name-version``.

    Returns
    -------
    The installed bundle. Adding the same one again changes nothing.

    Raises
    ------
    InvalidBundle
        If the source is broken, or another bundle with the same ``name@version`` is there already.
    DigestMismatch
        If a file of the source isn't what was signed off.
    """
    folder = user_folder() if folder is None else folder
    bundle = load_bundle(source)
    target = folder / f"{bundle.manifest.name}-{bundle.manifest.version}"
    if target.exists():
        return _same_bundle(bundle, target)
    folder.mkdir(parents=True, exist_ok=True)
    copy = Path(tempfile.mkdtemp(prefix=".adding-", dir=folder))
    try:
        for name in (*bundle.sums, SUMS):
            shutil.copyfile(source / name, copy / name)
        load_bundle(copy)
        copy.chmod(0o755)
        copy.rename(target)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return load_bundle(target)


def _same_bundle(bundle: Bundle, target: Path) -> Bundle:
    installed = load_bundle(target)
    if installed.digest != bundle.digest:
        raise InvalidBundle(f"another {bundle.label} is installed at {target}; give the new one a new version")
    return installed


def _in_order(bundles: Iterable[Bundle]) -> list[Bundle]:
    def version(bundle: Bundle) -> tuple[int, ...]:
        return tuple(int(part) for part in bundle.manifest.version.split("."))

    latest_first = sorted(bundles, key=version, reverse=True)
    return sorted(latest_first, key=lambda bundle: bundle.manifest.name)
