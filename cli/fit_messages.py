"""Messages of `fit`: when it begins, after every step and epoch, and at the end."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from alexnet.cli.console import Meter, say
from alexnet.cli.plan_messages import say_plan
from alexnet.cli.quiet import start_xla_quietly
from alexnet.model.training.progress import Progress
from alexnet.pipeline.files import count

if TYPE_CHECKING:
    from alexnet.model.training.cluster import Cluster
    from alexnet.model.training.hardware import Hardware
    from alexnet.model.training.history import EpochRecord
    from alexnet.model.training.metrics import Metrics
    from alexnet.model.training.plan import TrainPlan
    from alexnet.model.training.report import FitReport
    from alexnet.model.training.run import RunFolder
    from alexnet.model.training.run_config import InitialWeights


class FitProgress(Progress):
    """Progress of a training: its steps on a Meter, and a line for each epoch."""

    def __init__(self, meter: Meter, verbose: bool = False) -> None:
        self.meter, self.verbose = meter, verbose
        self.total = 0
        self.first: int | None = None
        self.run: RunFolder | None = None
        self.is_chief = True

    def join(self, cluster: Cluster) -> None:
        """Print whom the run waits for."""
        say(f"{cluster.describe()}: waiting for the others")

    def plan(self, plan: TrainPlan, hardware: Hardware) -> None:
        """Print what will be trained; the hardware is set up by now."""
        start_xla_quietly()
        self.run, self.is_chief = plan.run, hardware.is_chief
        say_plan(plan, hardware, self.verbose)

    def unseen(self, run: RunFolder) -> None:
        """Print what it takes to go on with a run in the chief's own folder."""
        say(
            f"{run.path} is not seen here: only the chief, worker 0, has the run. To go"
            " on with it one day, every worker needs that folder: share it, or copy it."
        )

    def initial(self, source: str, weights: InitialWeights) -> None:
        """Print what the run starts from, and which layers begin anew all the same."""
        fresh = ", ".join(weights.fresh_layers)
        replaced = f"; {fresh} was for other classes and begins anew" if fresh else ""
        say(f"weights of {source} (SHA-256 {weights.fingerprint[:12]}){replaced}")

    @property
    def interrupted(self) -> str:
        """Tell of an interruption, and how to go on."""
        if self.run is None or not self.run.exists():
            return "interrupted before the run had begun"
        return (
            "interrupted: what was trained is kept; go on with"
            f" `{self.run.resume_command}`"
        )

    def start(self, first_step: int, total_steps: int) -> None:
        """Begin, or go on, at `first_step`."""
        self.total = total_steps
        self.meter.show(first_step, total_steps)

    def step(self, step: int, metrics: Metrics) -> None:
        """Show the steps so far; the first was spent on tracing and compiling."""
        if self.first is None:
            self.first = step
            self.meter.start_clock(step)
        note = f"loss {metrics.loss:.3f}, accuracy {metrics.accuracy:.3f}"
        self.meter.show(step, self.total, note)

    def epoch(self, record: EpochRecord, total_epochs: int, gpu: str) -> None:
        """Print an epoch's figures in a line, and what is rarer in another."""
        figures = [
            f"epoch {record.epoch:>{len(str(total_epochs))}}/{total_epochs}",
            f"loss {_loss(record.loss)} acc {record.accuracy:.3f}",
            f"{record.images_per_second:,.0f} img/s",
            f"wait {record.input_wait_share:.0%}",
        ]
        if record.val_loss is not None:
            figures.insert(2, f"val {_loss(record.val_loss)} {record.val_accuracy:.3f}")
        self.meter.write("  ".join(figures))
        more = [gpu] if gpu else []
        if record.skipped_steps:
            skipped = count(record.skipped_steps, "step")
            more.append(f"{skipped} skipped: float16 overflowed")
        if more:
            self.meter.write(f"  {', '.join(more)}")


def _loss(loss: float) -> str:
    return f"{loss:.3f}" if loss < 100 else f"{loss:.0f}"


def say_report(report: FitReport) -> None:
    """Print what a run has reached, and what to make of it."""
    from alexnet.model.training.run import RunFolder

    run = quote(str(report.run))
    if not report.history:
        say(f"no epochs: {run} holds its initial weights. Next: alexnet evaluate {run}")
        return
    say(
        f"epoch {report.last.epoch}, step {report.last.step:,}:"
        f" {report.images_per_second:,.0f} images/s. {report.time_summary}"
    )
    say(_describe_accuracy(report))
    if report.spent_patience:
        resume = RunFolder(report.run).resume_command
        say(
            f"--patience {report.spent_patience} has ended the run. A larger one goes"
            f" on: `{resume} --patience {2 * report.spent_patience}`"
        )
    if report.chance_warning:
        say(f"warning: {report.chance_warning}")
    say(f"next: alexnet evaluate {run}   alexnet plot {run}")


def _describe_accuracy(report: FitReport) -> str:
    best, last = report.best, report.last
    if not best:
        return (
            f"accuracy in training {last.accuracy:.4f} (epoch {last.epoch}); there are"
            " no validation examples to tell the best epoch by"
        )
    return (
        f"validation accuracy: best {best.val_accuracy:.4f} (epoch {best.epoch}),"
        f" last {last.val_accuracy:.4f} (epoch {last.epoch})"
    )
