"""Options of an Apache Beam pipeline, and the check that Beam is installed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stderr
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING

from alexnet.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

# Beam's own runner, in this process, to try it: on one machine a build without Beam is
# faster. Options that follow these win.
LOCAL_OPTIONS = ("--runner=FnApiRunner", "--direct_running_mode=multi_threading")


def require_beam() -> None:
    """Check that Apache Beam is installed.

    Raises:
        ConfigError: it is not.
    """
    if find_spec("apache_beam") is None:
        raise ConfigError(
            "the beam runner needs Apache Beam: pip install 'alexnet[beam]'"
        )


def parse_options(words: Sequence[str], workers: int) -> PipelineOptions:
    """Return a pipeline's options.

    Args:
        words: a Beam pipeline's, such as "--runner=FlinkRunner"; without them `workers`
            threads of this process do the work.

    Raises:
        ConfigError: there are no such options.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    local = (*LOCAL_OPTIONS, f"--direct_num_workers={workers}")
    options, complaint = PipelineOptions([*local, *words]), StringIO()
    try:
        with redirect_stderr(complaint):
            options.get_all_options()
    except SystemExit:
        # The usage, with all that Beam's options can be, comes before it.
        reason = complaint.getvalue().strip().rpartition("error: ")[2]
        raise ConfigError(f"the options of the Beam pipeline: {reason}") from None
    return options
