"""Results to a DICOMweb archive: STOW-RS (PS3.18 10.5), each instance of the answer weighed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from radiolucent.errors import FinalDelivery, RetriableDelivery
from radiolucent.results.destinations.http import Answer, HttpPeer
from radiolucent.results.destinations.package import DicomFile, Package, Receipt
from radiolucent.results.destinations.presets import EXPLICIT, Preset, preset, select
from radiolucent.results.destinations.statuses import store_status

_PART: Final = 1 << 20
_REFERENCED, _FAILED, _INSTANCE, _REASON = "00081199", "00081198", "00081155", "00081197"


@dataclass(frozen=True, kw_only=True)
class Stow:
    """A DICOMweb archive.

    Parameters
    ----------
    peer : its address, e.g. ``https://pacs.example/dicom-web``.
    preset : what it takes; objects go as they were encoded, Explicit VR Little Endian.
    """

    peer: HttpPeer
    preset: Preset = field(default_factory=lambda: preset("everything"))

    def __post_init__(self) -> None:
        if EXPLICIT not in self.preset.transfer_syntaxes:
            raise ValueError(f"{self.name}: STOW-RS sends Explicit VR Little Endian, and the preset has no such syntax")

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.peer.name

    def deliver(self, package: Package) -> Receipt:
        """Store the objects in one request, or one request each.

        Raises
        ------
        RetriableDelivery
            If the archive is away, busy or breaks off, its answer can't be understood or doesn't name an object, or an
            object failed for a reason that may pass.
        FinalDelivery
            If it refuses the request or an object for good, or a file is gone.
        """
        chosen = select(package, self.preset)
        groups = [chosen.objects] if self.preset.association == "shared" else [(item,) for item in chosen.objects]
        delivered: list[str] = []
        failed: dict[str, str] = {}
        warnings: list[str] = []
        for group in groups:
            if group:
                self._store(package.study_instance_uid, group, delivered, failed, warnings)
        for meaning, error in (("retriable", RetriableDelivery), ("final", FinalDelivery)):
            why = [words for words, found in failed.items() if found == meaning]
            if why:
                raise error("; ".join(why), destination=self.name, delivered=tuple(delivered))
        return Receipt(
            destination=self.name, delivered=tuple(delivered), left_out=chosen.left_out, warnings=tuple(warnings)
        )

    def _store(
        self,
        study: str,
        objects: Sequence[DicomFile],
        delivered: list[str],
        failed: dict[str, str],
        warnings: list[str],
    ) -> None:
        boundary = f"radiolucent-{objects[0].sop_instance_uid.rpartition('.')[2][-40:]}"
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        try:
            size = _size(objects, boundary)
            answer = self.peer.request(
                "POST",
                f"studies/{study}",
                content=_body(objects, boundary),
                headers={"Content-Type": kind, "Accept": "application/dicom+json", "Content-Length": str(size)},
            )
        except FileNotFoundError as error:
            raise FinalDelivery(
                "the encoded objects are gone from disk: encode the reading again", destination=self.name
            ) from error
        except RetriableDelivery as error:
            raise RetriableDelivery(error.reason, destination=self.name, delivered=tuple(delivered)) from error
        told = _told(answer)
        if told is None:
            if answer.status not in (200, 202, 409):
                raise self.peer.refusal(answer, "the objects were not stored")
            raise RetriableDelivery(
                f"its answer (HTTP {answer.status}) can't be understood: it may or may not have stored the objects",
                destination=self.name,
                delivered=tuple(delivered),
            )
        for item in objects:
            status = told.get(item.sop_instance_uid)
            if status is None:
                failed[f"{item.kind or item.sop_class_uid}: its answer doesn't say whether it has it"] = "retriable"
                continue
            meaning, words = store_status(status)
            if meaning == "delivered":
                delivered.append(item.sop_instance_uid)
                if status:
                    warnings.append(f"{item.kind or 'object'}: {words} (0x{status:04X})")
            else:
                failed[f"{item.kind or item.sop_class_uid}: {words} (0x{status:04X})"] = meaning


def _told(answer: Answer) -> dict[str, int] | None:
    """Status of each instance by SOP Instance UID (0 where it is stored), None where the body isn't that."""
    if answer.status not in (200, 202, 409):
        return None
    try:
        body = json.loads(answer.body)
        one = body[0] if isinstance(body, list) else body
        stored = {_first(item, _INSTANCE): 0 for item in _sequence(one, _REFERENCED)}
        failed = {_first(item, _INSTANCE): int(_first(item, _REASON)) for item in _sequence(one, _FAILED)}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    return {**stored, **failed} or None


def _sequence(dataset: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return list(dataset.get(tag, {}).get("Value", []))


def _first(dataset: dict[str, Any], tag: str) -> Any:
    return dataset[tag]["Value"][0]


def _head(boundary: str) -> bytes:
    return f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()


def _body(objects: Sequence[DicomFile], boundary: str) -> Iterator[bytes]:
    for item in objects:
        yield _head(boundary)
        with item.path.open("rb") as stream:
            while part := stream.read(_PART):
                yield part
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _size(objects: Sequence[DicomFile], boundary: str) -> int:
    parts = sum(len(_head(boundary)) + item.path.stat().st_size + 2 for item in objects)
    return parts + len(f"--{boundary}--\r\n")
