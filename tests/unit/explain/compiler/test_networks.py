"""A network is made by its factory and filled with exactly its weights, from a file whose code never runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from radiolucent.errors import SetupError  # noqa: E402 - these need torch, which may be absent
from radiolucent.explain.compiler.networks import load_weights, make_network, read_weights  # noqa: E402

FACTORY = """
from torch import nn
def net(classes=3, bias=True):
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, classes, bias=bias))
ready = net()
def fails():
    raise ValueError("no such depth")
def words():
    return "resnet"
"""


@pytest.fixture
def factory(tmp_path: Path) -> str:
    """A user's file."""
    (tmp_path / "mine.py").write_text(FACTORY)
    return str(tmp_path / "mine.py")


class Small(torch.nn.Module):  # type: ignore[name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, bias=False), torch.nn.BatchNorm2d(4))
        self.fc = torch.nn.Linear(4, 2)
        self.register_buffer("scratch", torch.zeros(3), persistent=False)


def random_network() -> Any:
    torch.manual_seed(3)
    network = Small()
    network.features[1].running_mean.normal_()
    return network


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_factory_in_a_file_is_called_with_its_arguments(factory: str) -> None:
    assert make_network(f"{factory}:net", {"classes": 5})[2].out_features == 5
    assert make_network(f"{factory}:ready")[2].out_features == 3


def test_a_factory_in_a_module_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_network_of_mine.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    assert make_network("a_network_of_mine:net")[2].out_features == 3
    assert make_network("torch.nn:Linear", {"in_features": 2, "out_features": 7}).out_features == 7


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("net", "MODULE:FACTORY or FILE.py:FACTORY"),
        ("no_such_module_here:net", "can't be imported"),
        ("nowhere.py:net", "is no Python file"),
        ("{factory}:absent", "has no absent"),
        ("{factory}:fails", "failed: ValueError: no such depth"),
        ("{factory}:words", "gives str, not a torch.nn.Module"),
        ("torch.nn:Linear", "failed: TypeError"),
    ],
)
def test_a_factory_that_gives_no_network_is_refused(where: str, message: str, factory: str) -> None:
    with pytest.raises(SetupError, match=message):
        make_network(where.format(factory=factory))


def test_a_file_of_code_that_fails_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(SetupError, match="failed: ZeroDivisionError"):
        make_network(f"{tmp_path / 'broken.py'}:net")


@pytest.mark.parametrize("nest", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
def test_weights_are_found_inside_a_checkpoint_and_behind_a_prefix(
    nest: str | None, prefix: str, tmp_path: Path
) -> None:
    network, path = random_network(), tmp_path / "weights.pt"
    state = {prefix + name: value for name, value in network.state_dict().items()}
    torch.save({nest: state, "epoch": 3} if nest else state, path)
    empty = Small()
    assert "8 tensors" in load_weights(empty, path)
    assert same(network, empty)


def test_a_network_inside_of_a_training_module_is_found_beside_its_loss(tmp_path: Path) -> None:
    network, path = random_network(), tmp_path / "epoch=3.ckpt"
    state = {f"encoder.model.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": {**state, "loss.weight": torch.ones(2)}, "hyper_parameters": {"lr": 1e-3}}, path)
    empty = Small()
    assert "8 tensors" in load_weights(empty, path)
    assert same(network, empty)
    twice = {**state, **{f"average.{name}": value for name, value in network.state_dict().items()}}
    torch.save(twice, path)
    with pytest.raises(SetupError, match=r"several times, under 'average.', 'encoder.model.'"):
        load_weights(Small(), path)


def test_weights_lie_in_the_one_table_that_has_any(tmp_path: Path) -> None:
    network, path = random_network(), tmp_path / "weights.pt"
    torch.save({"best": network.state_dict(), "optimizer": {"state": {}, "groups": [1]}, "epoch": 2}, path)
    empty = Small()
    load_weights(empty, path)
    assert same(network, empty)


def test_counts_of_batch_norm_that_older_files_lack_are_not_missed(tmp_path: Path) -> None:
    network, path = random_network(), tmp_path / "weights.pt"
    state = {name: value for name, value in network.state_dict().items() if "num_batches" not in name}
    torch.save(state, path)
    empty = Small()
    load_weights(empty, path)
    assert same(network, empty)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_torchscript_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "weights.pt")
    with pytest.raises(SetupError, match=r"is TorchScript, which holds code; write its weights alone"):
        read_weights(tmp_path / "weights.pt")


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("new", [True, False], ids=["zip", "before torch 1.6"])
def test_the_tensors_of_a_whole_pickled_network_are_taken_out(new: bool, tmp_path: Path) -> None:
    network, path = random_network(), tmp_path / "network.pt"
    torch.save(network, path, _use_new_zipfile_serialization=new)
    empty = Small()
    load_weights(empty, path)
    assert same(network, empty)
    assert "scratch" not in read_weights(path)


class Evil:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before torch 1.6"])
def test_code_in_a_weights_file_never_runs(new: bool, tmp_path: Path) -> None:
    made, path = tmp_path / "made-by-the-file", tmp_path / "weights.pt"
    torch.save({"state_dict": {"fc.weight": torch.ones(2)}, "x": Evil(made)}, path, _use_new_zipfile_serialization=new)
    assert list(read_weights(path)) == ["fc.weight"]
    assert not made.exists()
    path.write_bytes(pickle.dumps(Evil(made)))
    with pytest.raises(SetupError, match=r"without running code|holds no named tensors"):
        read_weights(path)
    assert not made.exists()


def test_safetensors_are_read(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="needs safetensors: pip install safetensors")
    network, empty = random_network(), Small()
    safetensors.save_file(network.state_dict(), tmp_path / "weights.safetensors")
    load_weights(empty, tmp_path / "weights.safetensors")
    assert same(network, empty)
    (tmp_path / "broken.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(SetupError, match="no readable safetensors file"):
        read_weights(tmp_path / "broken.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("fc.bias"), "it lacks fc.bias"),
        (lambda state: state.update(extra=torch.ones(1)), "it has, and the network hasn't, extra"),
        (lambda state: state.update({"fc.bias": torch.ones(9)}), r"holds other shapes: fc.bias \(9,\) for \(2,\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_what_differs(change: Any, message: str, tmp_path: Path) -> None:
    state = random_network().state_dict()
    change(state)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(SetupError, match=message):
        load_weights(Small(), tmp_path / "weights.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is no file"), (b"", "can't be read as weights"), (b"PK\x03\x04 broken", "can't be read as weights")],
)
def test_a_file_that_holds_no_weights_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SetupError, match=message):
        read_weights(path)


def test_a_checkpoint_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "weights.pt")
    with pytest.raises(SetupError, match="holds no named tensors"):
        read_weights(tmp_path / "weights.pt")
