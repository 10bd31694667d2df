from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radiolucent.errors import SetupError
from radiolucent.training.pack import Pack, join_packs, load_pack, save_pack


def test_what_was_saved_comes_back_unchanged(small_pack: Pack, tmp_path: Path) -> None:
    save_pack(small_pack, tmp_path / "set.pack")
    back = load_pack(tmp_path / "set.pack")
    assert (small_pack.engine, small_pack.findings) == (back.engine, back.findings)
    for name in ("images", "outlines", "labels", "split", "group", "source"):
        np.testing.assert_array_equal(getattr(small_pack, name), getattr(back, name))
    assert back.images.dtype == np.uint8


def test_images_that_dont_fit_are_rounded_until_they_do(small_pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "set.pack"
    assert save_pack(small_pack, path) == 0
    whole, steps, errors = path.stat().st_size, [0], [0.0]
    for share in (0.7, 0.4):
        steps.append(save_pack(small_pack, path, largest=int(share * whole)))
        back = load_pack(path)
        assert path.stat().st_size <= share * whole
        assert back.rounded == steps[-1]
        errors.append(float(np.sqrt(((back.images.astype(float) - small_pack.images) ** 2).mean())))
        # twice the step at the finest frequency, evenly spread errors
        assert errors[-1] <= 2 * steps[-1] / np.sqrt(12)
        np.testing.assert_array_equal(small_pack.outlines, back.outlines)
    assert steps == sorted(set(steps))
    assert errors == sorted(set(errors))


def test_writing_tells_how_far_it_is(small_pack: Pack, tmp_path: Path) -> None:
    many = small_pack.rows(np.tile(np.arange(len(small_pack)), 80))
    told: list[tuple[int, int]] = []
    save_pack(many, tmp_path / "set.pack", report=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] >= (many.images.nbytes + many.outlines.nbytes) >> 20
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len({done for done, _ in told}) > 2


def test_a_set_that_no_rounding_makes_fit_is_refused(small_pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="don't fit into 100 bytes"):
        save_pack(small_pack, tmp_path / "set.pack", largest=100)
    assert not (tmp_path / "set.pack").exists()


def test_a_file_that_is_no_pack_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.pack").write_bytes(b"nothing of the kind")
    with pytest.raises(SetupError, match=r"x\.pack is no training pack"):
        load_pack(tmp_path / "x.pack")


def test_a_missing_pack_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="is no training pack"):
        load_pack(tmp_path / "none.pack")


def test_arrays_of_different_length_are_refused(small_pack: Pack) -> None:
    with pytest.raises(ValueError, match="group has 1 rows"):
        replace(small_pack, group=np.array(["one"]))


def test_labels_of_another_shape_are_refused(small_pack: Pack) -> None:
    with pytest.raises(ValueError, match="labels must be"):
        replace(small_pack, labels=np.zeros((1, 3), dtype=np.float32))


def test_outlines_of_another_shape_are_refused(small_pack: Pack) -> None:
    with pytest.raises(ValueError, match="outlines must be"):
        replace(small_pack, outlines=small_pack.outlines[:, :10])


def test_nine_findings_are_too_many_for_eight_bits(small_pack: Pack) -> None:
    names = tuple("abcdefghi")
    labels = np.zeros((len(small_pack), 9), dtype=np.float32)
    with pytest.raises(ValueError, match="outlines of 9 findings can't be uint8"):
        replace(small_pack, findings=names, labels=labels)
    wide = replace(small_pack, findings=names, labels=labels, outlines=small_pack.outlines.astype(np.int32))
    assert wide.outlines.dtype == np.int32


def test_thirty_two_findings_are_too_many(small_pack: Pack) -> None:
    with pytest.raises(ValueError, match="1 to 31 findings"):
        replace(small_pack, findings=tuple(str(index) for index in range(32)))


def test_folds_share_no_group_and_cover_all_rows(small_pack: Pack) -> None:
    held = [small_pack.with_fold(fold, 3) for fold in range(3)]
    for pack in held:
        assert set(pack.group[pack.split == "val"]).isdisjoint(pack.group[pack.split == "train"])
    assert len(small_pack) == sum(int((pack.split == "val").sum()) for pack in held)


def test_a_fold_beyond_the_last_is_refused(small_pack: Pack) -> None:
    with pytest.raises(ValueError, match="fold 3"):
        small_pack.with_fold(3, 3)


def test_joined_packs_hold_the_rows_of_both_in_order(small_pack: Pack) -> None:
    both = join_packs(small_pack, small_pack.rows(np.array([0, 1])))
    assert len(small_pack) + 2 == len(both)
    np.testing.assert_array_equal(small_pack.images[1], both.images[-1])


def test_packs_of_different_quantisation_do_not_join(small_pack: Pack) -> None:
    with pytest.raises(ValueError, match="same recipe"):
        join_packs(small_pack, replace(small_pack, step=1.0))


def test_packs_of_different_size_do_not_join(small_pack: Pack) -> None:
    smaller = replace(small_pack, images=small_pack.images[..., :20, :20], outlines=small_pack.outlines[:, :20, :20])
    with pytest.raises(ValueError, match="images are"):
        join_packs(small_pack, smaller)
