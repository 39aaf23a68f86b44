"""Client: commands and queries on any experiment, run and registered model."""

from __future__ import annotations

from rekam.calls.datasets import Datasets
from rekam.calls.experiments import Experiments
from rekam.calls.media import Media
from rekam.calls.metrics import Metrics
from rekam.calls.registering import Registering
from rekam.calls.session import Consistency
from rekam.calls.texts import Texts
from rekam.calls.transitions import Transitions
from rekam.calls.webhooks import Webhooks


class Client(Experiments, Media, Metrics, Texts, Datasets, Registering, Transitions, Webhooks):
    """Talks to one server. Any number of threads may use it.

    consistency: "strong" queries see everything that was acknowledged before, and everything
    this process logged to the same server; "eventual" ones answer from what is projected now.
    retry_timeout: seconds a call tries again while the server is away, REKAM_RETRY_TIMEOUT if
    None. Every method raises the errors of rekam.errors: Invalid, NotFound, AlreadyExists,
    FailedPrecondition, Stale, Forbidden when the request is at fault, Unavailable when the server is not
    there.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        consistency: Consistency = "strong",
        retry_timeout: float | None = None,
    ) -> None:
        if tracking_uri is None:
            from rekam.fluent import destination

            tracking_uri = destination.get_tracking_uri()
        super().__init__(tracking_uri, consistency, retry_timeout)
