"""`alexnet doctor`: its JSON, its table and its exit codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.benchmarks import machine
from alexnet.benchmarks.doctor import doctor
from alexnet.benchmarks.doctor.gpus import TensorFlow
from tests.cli.conftest import alexnet, alexnet_json, failure

STARTS = TensorFlow("2.15.1", "12.2", ("sm_50", "compute_80"), 0, (), True)


@pytest.fixture(autouse=True)
def made_up_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without GPUs whose TensorFlow starts, whatever this one is."""
    monkeypatch.setattr(machine, "SAMPLE_BYTES", machine.READ_BLOCK_BYTES)
    monkeypatch.setattr(doctor, "ask_tensorflow", lambda: STARTS)
    monkeypatch.setattr(doctor, "ask_driver", lambda: "no driver")
    monkeypatch.setattr(doctor, "count_nvidia_devices", lambda: 0)


def test_json(tmp_path: Path) -> None:
    found = alexnet_json("doctor", tmp_path)
    assert found["ok"] is True
    for finding in found["findings"]:
        assert set(finding) == {"name", "value", "state", "advice"}
        assert finding["state"] in ("ok", "note")
        assert bool(finding["advice"]) == (finding["state"] != "ok")
    names = [finding["name"] for finding in found["findings"]]
    expected = ("Python", "tensorflow", "CPUs", "TensorFlow starts", "GPUs", "memory")
    assert set(expected) <= set(names)
    assert f"room in {tmp_path}" in names


def test_for_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = replace(STARTS, uses_onednn=False)
    monkeypatch.setattr(doctor, "ask_tensorflow", lambda: blind)
    monkeypatch.chdir(tmp_path)
    ended = alexnet("doctor")
    assert ended.code == 0
    assert "matplotlib" in ended.out
    assert "room in ." in ended.out
    if "oneDNN" in ended.out:  # on x86-64 alone
        assert "note: oneDNN. A step on the CPU took 1.5 times as long" in ended.out


def test_what_is_broken_exits_1_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = "ModuleNotFoundError: No module named 'tensorflow'"
    monkeypatch.setattr(doctor, "ask_tensorflow", lambda: error)
    ended = alexnet("doctor", tmp_path, "--json")
    assert ended.code == 1
    assert ended.json["ok"] is False
    (broken,) = (one for one in ended.json["findings"] if one["state"] == "problem")
    assert broken["value"] == error
    assert "pip install" in broken["advice"]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    assert f"no such folder: {tmp_path / 'gone'}" in failure(
        "doctor", tmp_path / "gone"
    )
