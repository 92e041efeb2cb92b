"""A stand-in for `alexnet fit`, run by a sweep in its place: it trains nothing.

After epoch e of n its accuracy is e / n of 1 - learning_rate. It notes each of its
starts, fails at a rate of 0.5 and is slow after half of its epochs at a rate of 0.75.
"""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import ArgumentParser
from pathlib import Path

from alexnet.model.training.history import EpochRecord, read_history, write_history

FAILING, SLOW = 0.5, 0.75
PAUSE = "STAND_IN_SECONDS"


def accuracy(rate: float, epoch: int, epochs: int) -> float:
    return (1 - rate) * epoch / epochs


def record(rate: float, epoch: int, epochs: int) -> EpochRecord:
    reached = accuracy(rate, epoch, epochs)
    return EpochRecord(epoch, epoch, rate, 0.7, 0.5, 0.6, reached, 9.0, 0.0, 1.0)


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    run: Path = options.run
    with (run / "starts").open("a") as file:
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES")
        file.write(json.dumps([options.resume, gpu]) + "\n")
    if options.resume:
        rate, epochs = json.loads((run / "config.json").read_text())
    else:
        rate, epochs = options.learning_rate, options.epochs
        (run / "config.json").write_text(json.dumps([rate, epochs]))
    history = read_history(run / "history.csv")
    while len(history) < epochs:
        time.sleep(float(os.environ.get(PAUSE, "0")))
        if rate == FAILING:
            print("the loss has diverged\n")
            sys.exit(1)
        history.append(record(rate, len(history) + 1, epochs))
        write_history(run / "history.csv", history)
        if rate == SLOW and len(history) == epochs // 2:
            time.sleep(60)


if __name__ == "__main__":
    main()
