"""The doctor's round: what is asked for, and what a report says."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import distribution
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from packaging.specifiers import SpecifierSet

from alexnet.benchmarks.doctor import doctor
from alexnet.benchmarks.doctor.checks import Finding
from alexnet.benchmarks.doctor.doctor import DoctorReport, examine, read_packages
from alexnet.pipeline.errors import DataError


def test_the_packages_are_those_of_this_process() -> None:
    found = {package.name: package.found for package in read_packages()}
    assert found["Python"] == platform.python_version()
    assert found["tensorflow"] == tf.__version__
    assert found["keras"] == keras.__version__
    assert found["numpy"] == np.__version__
    assert {"alexnet", "matplotlib", "typer"} <= set(found)
    assert ("tensorflow-addons" in found) == (sys.version_info < (3, 12))
    # What only an extra asks for is not needed.
    assert not {"scipy", "pytest"} & set(found)
    needs = {package.name: package.needs for package in read_packages()}
    assert tf.__version__ in SpecifierSet(needs["tensorflow"])
    assert keras.__version__ in SpecifierSet(needs["keras"])
    assert needs["Python"] == distribution("alexnet").metadata["Requires-Python"]


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["absent-for-certain>=1", 'never; extra == "more"', 'x; python_version<"3"']
    monkeypatch.setattr(doctor, "requires", lambda name: lines)
    (package,) = doctor._required_by("alexnet")
    assert (package.name, package.needs, package.found) == (
        "absent-for-certain",
        ">=1",
        None,
    )


@pytest.mark.parametrize(
    ("states", "ok"),
    [(["ok"], True), (["ok", "note"], True), (["note", "problem", "ok"], False)],
)
def test_notes_are_no_harm(states: list, ok: bool) -> None:
    report = DoctorReport(tuple(Finding("x", "y", state) for state in states))
    assert report.ok is ok
    assert report.to_json()["ok"] is ok


def test_a_missing_folder_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "ask_tensorflow", None)
    with pytest.raises(DataError, match=f"no such folder: {tmp_path}/gone"):
        examine(tmp_path / "gone")
