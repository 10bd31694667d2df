"""A packed set: images and outlines at training resolution, in one file that needs only numpy to be read.

Quantised to 8 bits and compressed, so that a set can be carried to a bare machine that has numpy and torch and
nothing else. Images that would make a larger file than `LARGEST_BYTES` are rounded until they fit.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import SetupError
from radiolucent.training.rounding import images_of, round_images

LARGEST_BYTES = 50_000_000
"""A file that `save_pack` writes is no larger."""
_VERSION = 4
# steps of `rounding`, finest first; 0 is exact
_STEPS = (0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128)
# images on which the size of a file is tried
_TRIED = 96
# as many findings as one bit each fits into: of 8 bits, or of 32 less the sign
_MOST_FINDINGS = 31


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """N images of one engine with their labels and outlines.

    Parameters
    ----------
    engine : name of the training recipe that the pack was made for.
    findings : K finding names, the order of `labels` and of the bits of `outlines`.
    images : uint8 ``(N, channels, S, S)``; network input = ``images * step + offset``.
    step, offset : the quantisation.
    outlines : uint8, or int32 where there are more than 8 findings, ``(N, S, S)``; bit k is set inside an outline of
        finding k.
    outlined : bool ``(N,)``; True where `outlines` is complete, so that a cell outside is background.
    labels : float32 ``(N, K)``; 1 present, 0 absent, NaN unknown.
    split : str ``(N,)``; ``train`` or ``val``.
    group : str ``(N,)``; images of one group (patient, block) stay on one side of every split.
    source : str ``(N,)``; ``FOLDER/FILE`` that the row came from; synthetic rows name no folder.
    midline : float32 ``(N,)``; column of the symmetry axis, NaN where there is none.
    traits : float32 ``(N, T)``; the recipe's sites and traits, 1, 0 or NaN.
    rounded : step of `rounding` with which the images were stored, grey values; 0 where they are exact.
    """

    engine: str
    findings: tuple[str, ...]
    images: NDArray[np.uint8]
    step: float
    offset: float
    outlines: NDArray[np.uint8] | NDArray[np.int32]
    outlined: NDArray[np.bool_]
    labels: NDArray[np.float32]
    split: NDArray[np.str_]
    group: NDArray[np.str_]
    source: NDArray[np.str_]
    midline: NDArray[np.float32]
    traits: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    rounded: int = 0

    def __post_init__(self) -> None:
        count = len(self.images)
        if len(self.traits) == 0:
            object.__setattr__(self, "traits", np.zeros((count, 0), dtype=np.float32))
        if not 1 <= len(self.findings) <= _MOST_FINDINGS:
            raise ValueError(f"a pack holds 1 to {_MOST_FINDINGS} findings, not {len(self.findings)}")
        if self.outlines.dtype != bit_type(len(self.findings)):
            raise ValueError(f"outlines of {len(self.findings)} findings can't be {self.outlines.dtype}")
        if self.labels.shape != (count, len(self.findings)):
            raise ValueError(f"labels must be {(count, len(self.findings))}, not {self.labels.shape}")
        if self.outlines.shape != (count, *self.images.shape[2:]):
            raise ValueError(f"outlines must be {(count, *self.images.shape[2:])}, not {self.outlines.shape}")
        for name in ("outlined", "split", "group", "source", "midline", "traits"):
            if len(getattr(self, name)) != count:
                raise ValueError(f"{name} has {len(getattr(self, name))} rows, the images have {count}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def folders(self) -> NDArray[np.str_]:
        """The folder that each row came from, str ``(N,)``; empty for synthetic rows."""
        return np.array([source.rpartition("/")[0] for source in self.source], dtype=np.str_)

    def rows(self, chosen: NDArray[Any]) -> Pack:
        """The pack of some rows, chosen by index or by a boolean mask."""
        arrays: dict[str, Any] = {
            field.name: value[chosen]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), np.ndarray)
        }
        return replace(self, **arrays)

    def with_fold(self, fold: int, folds: int) -> Pack:
        """The same rows with `split` drawn anew: every `folds`-th group, counted in sorted order, is validation.

        Raises
        ------
        ValueError
            If `fold` isn't one of ``0 … folds - 1``.
        """
        if not 0 <= fold < folds:
            raise ValueError(f"fold {fold} is not one of 0 to {folds - 1}")
        held = set(np.unique(self.group)[fold::folds])
        split = np.array(["val" if group in held else "train" for group in self.group])
        return replace(self, split=split)


def bit_type(findings: int) -> np.dtype[Any]:
    """The smallest type that holds one bit for each finding."""
    return np.dtype(np.uint8 if findings <= 8 else np.int32)


def join_packs(first: Pack, second: Pack) -> Pack:
    """Rows of both, in order.

    Raises
    ------
    ValueError
        If they were not made for the same findings, size and quantisation.
    """
    same = ("findings", "step", "offset")
    if any(getattr(first, name) != getattr(second, name) for name in same):
        raise ValueError(f"packs differ in one of {', '.join(same)}: make both with the same recipe")
    if first.images.shape[1:] != second.images.shape[1:]:
        raise ValueError(f"images are {first.images.shape[1:]} and {second.images.shape[1:]}")
    arrays: dict[str, Any] = {
        field.name: np.concatenate([value, getattr(second, field.name)])
        for field in fields(first)
        if isinstance(value := getattr(first, field.name), np.ndarray)
    }
    return replace(first, **arrays)


def save_pack(
    pack: Pack, path: Path, *, largest: int = LARGEST_BYTES, report: Callable[[int, int], None] | None = None
) -> int:
    """Write one compressed file (zip of npy arrays), its images rounded as little as lets it fit into `largest` bytes.

    Parameters
    ----------
    report : called with (MiB compressed, MiB in all); anew where a coarser step has to be tried.

    Returns
    -------
    The step that the images were rounded with, grey values; 0 where they are stored as they are.

    Raises
    ------
    SetupError
        If it doesn't fit even so; nothing is written.
    """
    for step in _STEPS:
        if len(pack) > _TRIED and _estimate(pack, step) > largest:
            continue
        content = _packed(pack, step, report)
        if len(content) <= largest:
            path.write_bytes(content)
            return step
    raise SetupError(f"{len(pack)} images don't fit into {largest} bytes: pack fewer, or at a smaller size")


class _Counted(io.RawIOBase):
    """A file that says how much was written to it and those before it."""

    def __init__(self, file: IO[bytes], tell: Callable[[int], None]) -> None:
        super().__init__()
        self._file, self._tell = file, tell

    def write(self, data: Any) -> int:
        self._tell(len(data))
        return self._file.write(data)


def _packed(pack: Pack, step: int, report: Callable[[int, int], None] | None = None) -> bytes:
    arrays: dict[str, Any] = {
        field.name: value for field in fields(pack) if isinstance(value := getattr(pack, field.name), np.ndarray)
    }
    rest = {field.name: getattr(pack, field.name) for field in fields(pack) if field.name not in arrays}
    arrays["about"] = np.array(
        json.dumps({"version": _VERSION, **rest, "rounded": step, "side": pack.images.shape[-1]})
    )
    arrays["images"] = round_images(pack.images, step) if step else _differences(pack.images)
    total, done = sum(value.nbytes for value in arrays.values()), 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if report is not None:
            report(min(done, total) >> 20, total >> 20)

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(_Counted(member, tell), value, allow_pickle=False)
    return stream.getvalue()


def _estimate(pack: Pack, step: int) -> float:
    """Bytes of the file, from some of its images."""
    some = np.unique(np.linspace(0, len(pack) - 1, min(_TRIED, len(pack))).round().astype(np.intp))
    return len(_packed(pack.rows(some), step)) * len(pack) / len(some)


def load_pack(path: Path) -> Pack:
    """Read what `save_pack` wrote.

    Raises
    ------
    SetupError
        If the file is missing, is no pack, or was written by another version.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            arrays = {name: stored[name] for name in stored.files if name != "about"}
    except (OSError, ValueError, KeyError) as error:
        raise SetupError(f"{path} is no training pack: make one with radiolucent train ENGINE --pack FILE") from error
    if about.pop("version", None) != _VERSION:
        raise SetupError(f"{path} is a pack of another version: make it again with radiolucent train ENGINE --pack")
    side = about.pop("side")
    arrays["images"] = (
        images_of(arrays["images"], about["rounded"], side) if about["rounded"] else _sums(arrays["images"])
    )
    about["findings"] = tuple(about["findings"])
    return Pack(**about, **arrays)


def _differences(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each pixel less its neighbours, modulo 256: a sixth smaller once compressed."""
    return np.diff(np.diff(images, axis=-1, prepend=np.uint8(0)), axis=-2, prepend=np.uint8(0))


def _sums(differences: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo `_differences`."""
    return np.cumsum(np.cumsum(differences, axis=-2, dtype=np.uint8), axis=-1, dtype=np.uint8)
