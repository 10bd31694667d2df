"""What comes out of a file, a folder or a zip; and one clear problem for each thing that can't."""

import io
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.errors import NothingToRead, UnreadableFile, UnreadablePixels, UnsafeArchive
from radiolucent.imaging.loading import load
from radiolucent.imaging.study import Loaded, Problem, Stack

Ramp = NDArray[np.uint16]


def only_stack(loaded: Loaded) -> Stack:
    (study,) = loaded.studies
    (stack,) = study.stacks
    return stack


def only_problem(loaded: Loaded) -> Problem:
    (problem,) = [*loaded.problems, *(problem for study in loaded.studies for problem in study.problems)]
    return problem


def test_a_file_becomes_a_study_with_its_pixels(write_image: Any, ramp: Ramp) -> None:
    path = write_image("a.dcm", ramp, RescaleSlope=2, RescaleIntercept=-1000, PixelSpacing=[0.5, 0.7])
    stack = only_stack(load(path))
    assert (stack.kind, stack.modality, stack.spacing_mm) == ("image", "MR", (0.5, 0.7))
    assert np.array_equal(stack.decode(0), ramp * 2.0 - 1000)
    assert stack.pixels.dtype == np.float32


def test_names_and_depth_do_not_matter_and_dicomdir_is_skipped(write_image: Any, ramp: Ramp, tmp_path: Path) -> None:
    write_image("deep/er/IM0001", ramp)
    write_image("DICOMDIR", ramp + 1)
    write_image(".hidden.dcm", ramp + 2)
    loaded = load(tmp_path)
    assert only_stack(loaded).pixels.shape == (1, 48, 64)
    assert loaded.problems == ()


def test_progress_counts_every_file(write_image: Any, ramp: Ramp, tmp_path: Path) -> None:
    write_image("a", ramp)
    (tmp_path / "notes.txt").write_text("x" * 200)
    seen: list[tuple[int, int]] = []
    load(tmp_path, progress=lambda done, every: seen.append((done, every)))
    assert seen == [(1, 2), (2, 2)]


def test_a_folder_with_one_broken_file_reads_the_rest_and_says_so(write_image: Any, ramp: Ramp, tmp_path: Path) -> None:
    write_image("good.dcm", ramp)
    broken = write_image("sub/broken.dcm", ramp + 1, PatientName="SECRET^NAME")
    broken.write_bytes(broken.read_bytes()[:-1000])
    loaded = load(tmp_path)
    problem = only_problem(loaded)
    assert only_stack(loaded).frames
    assert (problem.code, problem.source) == ("truncated", "sub/broken.dcm")
    assert problem.reason.startswith("sub/broken.dcm: PixelData: ")
    assert "SECRET" not in problem.reason


def cut(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "empty", "empty"),
        (b"patient,age\n" * 30, "not-dicom", "a text file"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 200, "not-dicom", "a PNG picture"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 200, "not-dicom", "a JPEG picture"),
        (b"%PDF-1.7" + b"\0" * 200, "not-dicom", "a PDF document"),
        (b"\x1f\x8b\x08" + b"\0" * 200, "not-dicom", "a gzip file"),
        (b"\0" * 500, "not-dicom", "an unknown format"),
        (b"\0" * 128 + b"DICM", "truncated", "no data set"),
    ],
)
def test_a_file_that_is_no_image_is_named_for_what_it_is(tmp_path: Path, content: bytes, code: str, words: str) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=words) as caught:
        load(path)
    assert (caught.value.code, caught.value.path) == (code, "thing")


def test_a_header_cut_in_the_middle_is_truncated(write_image: Any, ramp: Ramp) -> None:
    path = write_image("a.dcm", ramp, ImageComments="x" * 2000)
    cut(path, path.read_bytes().index(b"xxxx") + 100)
    with pytest.raises(UnreadableFile) as caught:
        load(path)
    assert (caught.value.code, caught.value.tag) == ("truncated", "ImageComments")


@pytest.mark.parametrize(
    ("values", "code", "tag"),
    [
        ({"PixelData": None}, "no-pixels", "PixelData"),
        ({"PixelData": None, "Rows": None}, "not-an-image", "SOPClassUID"),
        ({"Rows": None}, "missing-tag", "Rows"),
        ({"Columns": 0}, "bad-tag", "Columns"),
        ({"Rows": 65535, "Columns": 65535}, "too-large", "Rows"),
        ({"Rows": 1, "Columns": 1}, "too-small", "Rows"),
        ({"BitsAllocated": 12}, "bad-tag", "BitsAllocated"),
        ({"BitsStored": 17}, "bad-tag", "BitsStored"),
        ({"HighBit": 3}, "bad-tag", "HighBit"),
        ({"PixelRepresentation": 7}, "bad-tag", "PixelRepresentation"),
        ({"SamplesPerPixel": 9}, "bad-tag", "SamplesPerPixel"),
        ({"NumberOfFrames": 2}, "length-mismatch", "PixelData"),
        ({"NumberOfFrames": 2000000}, "bad-tag", "NumberOfFrames"),
        ({"Rows": 49}, "length-mismatch", "PixelData"),
        ({"PhotometricInterpretation": None}, "missing-tag", "PhotometricInterpretation"),
    ],
)
def test_a_header_that_contradicts_its_pixels_is_refused(
    write_image: Any, ramp: Ramp, values: dict[str, object], code: str, tag: str
) -> None:
    path = write_image("a.dcm", ramp, **values)
    with pytest.raises(UnreadableFile) as caught:
        load(path)
    assert (code, tag) == (caught.value.code, caught.value.tag)


def test_a_pixel_fault_is_unreadable_pixels(write_image: Any, ramp: Ramp) -> None:
    with pytest.raises(UnreadablePixels):
        load(write_image("a.dcm", ramp, Rows=1, Columns=1))


def test_a_video_syntax_is_unsupported_and_says_what_to_send(write_image: Any, ramp: Ramp) -> None:
    path = write_image("a.dcm", ramp)
    content = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1)
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="uncompressed") as caught:
        load(path)
    assert (caught.value.code, caught.value.tag) == ("unsupported-syntax", "TransferSyntaxUID")


@pytest.mark.parametrize(
    ("sop_class", "word"),
    [
        ("1.2.840.10008.5.1.4.1.1.88.33", "structured report"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "key object"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "presentation state"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "segmentation"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "radiotherapy"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "encapsulated document"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "waveform"),
        ("1.2.840.10008.5.1.4.1.1.30", "parametric map"),
        ("1.2.840.10008.1.3.10", "directory"),
    ],
)
def test_objects_that_are_no_images_are_set_aside_calmly(
    write_image: Any, ramp: Ramp, tmp_path: Path, sop_class: str, word: str
) -> None:
    write_image("image.dcm", ramp)
    write_image("other.dcm", ramp + 1, SOPClassUID=sop_class)
    problem = only_problem(load(tmp_path))
    assert (problem.code, problem.source, problem.study_instance_uid) == ("not-an-image", "other.dcm", "1.2.3")
    assert word in problem.reason


def test_nothing_readable_in_a_folder_lists_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello " * 50)
    (tmp_path / "b.txt").write_text("hello " * 50)
    (tmp_path / "c").write_bytes(b"")
    with pytest.raises(NothingToRead, match=r"none of 3 files is a readable image \(not-dicom 2, empty 1\)"):
        load(tmp_path)


def test_a_path_that_is_neither_file_nor_folder_has_nothing_to_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NothingToRead, match="no such file or folder"):
        load(tmp_path / "pipe")


def test_an_empty_folder_has_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(NothingToRead, match="there is no image in it"):
        load(tmp_path)


def test_the_same_file_twice_is_used_once_and_noted(write_image: Any, ramp: Ramp, tmp_path: Path) -> None:
    shutil.copy(write_image("a.dcm", ramp), tmp_path / "b.dcm")
    loaded = load(tmp_path)
    assert "b.dcm is the same file as a.dcm; it is used once" in only_stack(loaded).notes
    assert loaded.studies[0].problems == ()


def test_one_uid_with_other_content_is_a_problem(write_image: Any, ramp: Ramp, tmp_path: Path) -> None:
    write_image("a.dcm", ramp, SOPInstanceUID="1.2.9")
    write_image("b.dcm", ramp + 1, SOPInstanceUID="1.2.9")
    loaded = load(tmp_path)
    assert only_stack(loaded).pixels[0, 0, 0] == 0
    assert (only_problem(loaded).code, only_problem(loaded).source) == ("uid-conflict", "b.dcm")


def test_two_patients_in_one_study_are_never_mixed(write_image: Any, ramp: Ramp, tmp_path: Path) -> None:
    for index in range(3):
        write_image(f"{index}.dcm", ramp + index, PatientID="one", InstanceNumber=index)
    write_image("stranger.dcm", ramp + 9, PatientID="two", InstanceNumber=9)
    loaded = load(tmp_path)
    assert (only_problem(loaded).code, only_problem(loaded).source) == ("patient-mismatch", "stranger.dcm")
    assert "two" not in only_problem(loaded).reason
    assert len(only_stack(loaded).frames) == 3


def test_missing_uids_are_made_from_the_file_and_noted(write_image: Any, ramp: Ramp) -> None:
    path = write_image("a.dcm", ramp, StudyInstanceUID=None, SeriesInstanceUID=None)
    first, second = only_stack(load(path)), only_stack(load(path))
    assert first.study_instance_uid == second.study_instance_uid != ""
    note = "StudyInstanceUID, SeriesInstanceUID missing or invalid: made from the file"
    assert any(note in told for told in first.notes)


def test_a_header_element_that_breaks_the_standard_is_left_out_and_noted(write_image: Any, ramp: Ramp) -> None:
    path = write_image("a.dcm", ramp, EchoTime="12")
    path.write_bytes(path.read_bytes().replace(b"DS\x02\x0012", b"DS\x02\x00xy"))
    stack = only_stack(load(path))
    assert any("EchoTime" in note for note in stack.notes)
    assert "EchoTime" not in stack.header


def test_series_and_studies_are_told_apart(write_image: Any, ramp: Ramp, tmp_path: Path) -> None:
    write_image("a", ramp, SeriesInstanceUID="1.2.3.4", SeriesNumber=2)
    write_image("b", ramp + 1, SeriesInstanceUID="1.2.3.5", SeriesNumber=1)
    write_image("c", ramp + 2, StudyInstanceUID="1.2.4")
    loaded = load(tmp_path)
    assert [[stack.series_instance_uid for stack in study.stacks] for study in loaded.studies] == [
        ["1.2.3.5", "1.2.3.4"],
        ["1.2.3.4"],
    ]


def make_zip(path: Path, members: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_zip_reads_like_a_folder_and_its_pixels_later(write_image: Any, ramp: Ramp, tmp_path: Path) -> None:
    content = write_image("x/a.dcm", ramp).read_bytes()
    path = make_zip(tmp_path / "study.zip", {"one/a.dcm": content, "notes.txt": b"hello " * 30, "__MACOSX/._a": b"x"})
    loaded = load(path)
    assert np.array_equal(only_stack(loaded).decode(0), ramp)
    assert (only_problem(loaded).code, only_problem(loaded).source) == ("not-dicom", "notes.txt")


def test_a_zip_inside_a_zip_is_not_opened(write_image: Any, ramp: Ramp, tmp_path: Path) -> None:
    content = write_image("x/a.dcm", ramp).read_bytes()
    inner = make_zip(tmp_path / "inner.zip", {"a.dcm": content}).read_bytes()
    path = make_zip(tmp_path / "outer.zip", {"a.dcm": content, "inner.zip": inner})
    assert "a zip inside" in only_problem(load(path)).reason


def test_a_zip_without_images_has_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(NothingToRead):
        load(make_zip(tmp_path / "a.zip", {"a.txt": b"hello " * 40}))


def test_a_broken_zip_is_unsafe(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04" + b"\0" * 100)
    with pytest.raises(UnsafeArchive, match="send it again"):
        load(path)


def test_a_damaged_member_is_one_problem(write_image: Any, ramp: Ramp, tmp_path: Path) -> None:
    good, bad = write_image("x/a.dcm", ramp).read_bytes(), write_image("x/b.dcm", ramp + 1).read_bytes()
    path = make_zip(tmp_path / "a.zip", {"good.dcm": good, "bad.dcm": bad})
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        start = archive.getinfo("bad.dcm").header_offset
    content[start + 200 : start + 260] = b"\xaa" * 60
    path.write_bytes(bytes(content))
    loaded = load(path)
    assert (only_problem(loaded).code, only_problem(loaded).source) == ("not-readable", "bad.dcm")
    assert only_stack(loaded).frames
