"""Rekam's Python SDK: log runs, params and metrics, and read them back. See docs/sdk.md."""

from rekam import errors
from rekam.capture.switches import (
    disable_system_metrics_logging,
    enable_system_metrics_logging,
    set_system_metrics_sampling_interval,
)
from rekam.client import Client
from rekam.entities import (
    Buckets,
    Experiment,
    History,
    LifecycleStage,
    Metric,
    MetricSummary,
    Run,
    RunData,
    RunInfo,
    RunStatus,
    ViewType,
    WriterCompleteness,
)
from rekam.fluent.destination import (
    create_experiment,
    get_tracking_uri,
    set_experiment,
    set_experiment_tag,
    set_experiment_tags,
    set_tracking_uri,
)
from rekam.fluent.log import (
    delete_tag,
    flush,
    log_metric,
    log_metrics,
    log_param,
    log_params,
    set_tag,
    set_tags,
)
from rekam.fluent.read import (
    delete_experiment,
    delete_run,
    get_experiment,
    get_experiment_by_name,
    get_metric_history,
    get_run,
    search_experiments,
    search_runs,
)
from rekam.fluent.runs import active_run, end_run, last_active_run, start_run
from rekam.offline import is_offline, set_offline
from rekam.run import ActiveRun

__all__ = [
    "ActiveRun",
    "Buckets",
    "Client",
    "Experiment",
    "History",
    "LifecycleStage",
    "Metric",
    "MetricSummary",
    "Run",
    "RunData",
    "RunInfo",
    "RunStatus",
    "ViewType",
    "WriterCompleteness",
    "active_run",
    "create_experiment",
    "delete_experiment",
    "delete_run",
    "delete_tag",
    "disable_system_metrics_logging",
    "enable_system_metrics_logging",
    "end_run",
    "errors",
    "flush",
    "get_experiment",
    "get_experiment_by_name",
    "get_metric_history",
    "get_run",
    "get_tracking_uri",
    "is_offline",
    "last_active_run",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "search_experiments",
    "search_runs",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_offline",
    "set_system_metrics_sampling_interval",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "start_run",
]
