"""What part of the body an engine takes a film for: refused where it reads no such film, doubted against the header."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.manifest import SITE_DOUBTED, SITE_REFUSED, Manifest, SiteEntry
from radiolucent.errors import NotItsSite
from radiolucent.ingest.eligibility import is_part_of

CODE = "site"


def check_site(sites: NDArray[np.float32] | None, manifest: Manifest) -> None:
    """Refuse a film that the engine takes for a site that it doesn't read.

    Parameters
    ----------
    sites : float32 ``(N, S)``, how likely each of the manifest's sites is on each image; None where none is told.

    Raises
    ------
    NotItsSite
        If these together are as likely as not.
    """
    unread = [(entry, share) for entry, share in _told(sites, manifest) if not entry.read]
    if sum(share for _, share in unread) >= SITE_REFUSED:
        likeliest = max(unread, key=lambda one: one[1])[0]
        learned = " (it knows that site from synthetic films alone)" if likeliest.basis == "phantom" else ""
        raise NotItsSite(
            f"the picture looks like a film of the {likeliest.name}, which {manifest.title} doesn't read{learned}; "
            "look at the film and at the body part in its header"
        )


def doubt(sites: NDArray[np.float32] | None, manifest: Manifest, body_part: str) -> str:
    """A note where the header names one site and the picture looks like another; empty where it doesn't.

    Parameters
    ----------
    body_part : what the header says (`imaging.quality.StackFacts`); a part that isn't one site's alone is no doubt.

    Raises
    ------
    InvalidBundle
        If the manifest names a body part that nobody knows.
    """
    told = _told(sites, manifest)
    named = [(entry, share) for entry, share in told if is_part_of(body_part, entry.body_parts, "sites.body_parts")]
    if not named or max(share for _, share in named) >= SITE_DOUBTED:
        return ""
    likeliest = max(told, key=lambda one: one[1])[0]
    return (
        f"the header says {body_part}, the picture looks like a film of the {likeliest.name}: make sure that it is "
        f"the right film [{CODE}]"
    )


def _told(sites: NDArray[np.float32] | None, manifest: Manifest) -> list[tuple[SiteEntry, float]]:
    shares = [] if sites is None else sites.mean(axis=0).tolist()
    return list(zip(manifest.sites, shares, strict=True)) if shares else []
