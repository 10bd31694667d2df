"""Which bone sites there are, and the views of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from radiolucent.phantom.bone_limbs import ANKLE_AP, ANKLE_LATERAL, KNEE_AP, KNEE_LATERAL, WRIST_LATERAL, WRIST_PA
from radiolucent.phantom.bone_shapes import SiteView
from radiolucent.phantom.bone_trunk import PELVIS_AP, SHOULDER_AP, SPINE_AP, SPINE_LATERAL

SITES: Mapping[str, Mapping[str, SiteView]] = MappingProxyType(
    {
        "ankle": {"AP": ANKLE_AP, "LL": ANKLE_LATERAL},
        "wrist": {"PA": WRIST_PA, "LL": WRIST_LATERAL},
        "knee": {"AP": KNEE_AP, "LL": KNEE_LATERAL},
        "shoulder": {"AP": SHOULDER_AP},
        "pelvis": {"AP": PELVIS_AP},
        "spine": {"LL": SPINE_LATERAL, "AP": SPINE_AP},
    }
)
