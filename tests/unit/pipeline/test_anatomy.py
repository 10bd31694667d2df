"""A film that looks like what the engine doesn't read is refused; one that contradicts its header is pointed out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.engines.manifest import Manifest
from radiolucent.engines.registry import find_bundle, installed_bundles
from radiolucent.errors import InvalidBundle, NotItsSite
from radiolucent.pipeline.anatomy import check_site, doubt

SITES = ("hand", "leg", "hip", "shoulder", "spine", "chest")


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return find_bundle("bone", installed_bundles()).manifest


def told(**shares: float) -> NDArray[np.float32]:
    """Shares of the sites, of one film."""
    return np.array([[shares.get(name, 0.0) for name in SITES]], dtype=np.float32)


def test_the_packaged_engine_tells_these_sites_and_reads_all_but_spine_and_chest(manifest: Manifest) -> None:
    assert tuple(site.name for site in manifest.sites) == SITES
    assert [site.name for site in manifest.sites if not site.read] == ["spine", "chest"]
    assert [site.name for site in manifest.sites if site.basis == "phantom"] == ["spine", "chest"]


def test_what_looks_like_a_spine_is_refused_with_the_reason(manifest: Manifest) -> None:
    with pytest.raises(NotItsSite, match=r"looks like a film of the spine, .* doesn't read \(it knows that site from"):
        check_site(told(spine=0.5, leg=0.5), manifest)
    # neither is likely alone
    with pytest.raises(NotItsSite, match="looks like a film of the chest"):
        check_site(told(spine=0.2, chest=0.4, hip=0.4), manifest)


@pytest.mark.parametrize("shares", [{"spine": 0.49, "leg": 0.51}, {"hand": 1.0}, {"hand": 0.4, "leg": 0.6}])
def test_what_the_engine_reads_is_not_refused(manifest: Manifest, shares: dict[str, float]) -> None:
    check_site(told(**shares), manifest)


def test_an_engine_that_tells_no_site_refuses_none() -> None:
    chest = find_bundle("chest", installed_bundles()).manifest
    check_site(None, chest)
    assert doubt(None, chest, "chest") == ""


@pytest.mark.parametrize("part", ["wrist", "hand", "forearm"])
def test_a_header_that_names_another_site_is_doubted(manifest: Manifest, part: str) -> None:
    note = doubt(told(hand=0.04, leg=0.9, hip=0.06), manifest, part)
    assert note.startswith(f"the header says {part}, the picture looks like a film of the leg")
    assert note.endswith("[site]")


@pytest.mark.parametrize(
    ("part", "shares"),
    [
        ("wrist", {"hand": 0.05, "leg": 0.95}),
        ("knee", {"leg": 1.0}),
        ("hip", {"hip": 0.5, "leg": 0.5}),
        # parts that are no one site's
        ("extremity", {"leg": 1.0}),
        ("lower-limb", {"hand": 1.0}),
        ("thigh", {"hand": 1.0}),
        ("elbow", {"leg": 1.0}),
        ("", {"leg": 1.0}),
    ],
)
def test_a_header_that_may_be_right_is_not(manifest: Manifest, part: str, shares: dict[str, float]) -> None:
    assert doubt(told(**shares), manifest, part) == ""


def test_several_pictures_are_judged_together(manifest: Manifest) -> None:
    both = np.concatenate([told(spine=0.9, leg=0.1), told(spine=0.05, leg=0.95)])
    check_site(both, manifest)
    assert doubt(both, manifest, "knee") == ""


def test_a_word_that_is_no_body_part_is_named(manifest: Manifest) -> None:
    wrong = manifest.sites[0].model_copy(update={"body_parts": ["writs"]})
    with pytest.raises(InvalidBundle, match=r"sites\.body_parts: 'writs' is not known"):
        doubt(told(leg=1.0), manifest.model_copy(update={"sites": [wrong, *manifest.sites[1:]]}), "wrist")
