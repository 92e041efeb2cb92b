"""Attempts in real processes, and what is made of the words of those that failed."""

from __future__ import annotations

import time

import pytest

from alexnet.benchmarks.scripts.gpu.attempt import LOG_LINES, attempt, failure

HERE = "tests.benchmarks.scripts.gpu.test_attempt"


def double(number: int) -> dict[str, int]:
    print("not part of the answer")
    return {"twice": 2 * number}


def sleep(seconds: float) -> None:
    print("going to sleep", flush=True)
    time.sleep(seconds)


def run_out() -> None:
    raise RuntimeError("OOM when allocating tensor with shape[4096,55,55,96]")


def test_an_answer_comes_back() -> None:
    assert attempt(f"{HERE}:double", {"number": 21}) == {"twice": 42}


def test_memory_that_runs_out_ends_the_attempt_alone() -> None:
    found = attempt(f"{HERE}:run_out", {})
    assert found["out_of_memory"]
    assert "shape[4096,55,55,96]" in found["error"]


def test_a_process_that_dies_is_told() -> None:
    found = attempt("os:abort", {})
    assert found["error"].startswith("ended by SIGABRT")
    assert not found["out_of_memory"]


def test_an_attempt_that_hangs_is_ended() -> None:
    start = time.monotonic()
    found = attempt(f"{HERE}:sleep", {"seconds": 60}, limit_seconds=2)
    assert time.monotonic() - start < 30
    assert found["error"] == "no answer in time; last: going to sleep"


@pytest.mark.parametrize(
    ("log", "full"),
    [
        ("E: failed: CUDA_ERROR_OUT_OF_MEMORY: out of memory", True),
        ("Out of memory while trying to allocate 5368709120 bytes.", True),
        ("CUDNN_STATUS_ALLOC_FAILED", True),
        # The allocator goes on without; something else ended the process.
        ("Allocator (GPU_0_bfc) ran out of memory trying to allocate 2.27GiB", False),
        ("ValueError: shapes differ", False),
    ],
)
def test_memory_is_told_from_other_failures(log: str, full: bool) -> None:
    found = failure(1, f"starting\n{log}\n")
    assert found["out_of_memory"] is full
    assert found["error"] == log


def test_of_a_failure_the_line_about_memory_counts() -> None:
    lines = ["OOM when allocating tensor", "Hint: see RunOptions", "[Op:__inference]"]
    assert failure(1, "\n".join(lines))["error"] == lines[0]


def test_a_log_is_cut_to_its_end() -> None:
    found = failure(2, "\n\n".join(f"line {number}" for number in range(50)))
    assert found["log"] == [f"line {n}" for n in range(50 - LOG_LINES, 50)]
    assert failure(2, "")["error"] == "without a word"
