"""Calls about logged models: what runs make."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from rekam import conversion
from rekam.calls.session import Session, new_origin, page_size, tags_of
from rekam.data import Dataset
from rekam.entities import LoggedModel, LoggedModelStatus, PagedList
from rekam.server import user_name
from rekam_proto.tracking.v1 import logged_model_pb2, read_pb2


class LoggedModels(Session):
    """Logged models, by id."""

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        """Begin a model, with status PENDING; name: a generated one if None."""
        request = logged_model_pb2.CreateLoggedModelRequest(
            model_id=f"m-{uuid.uuid4().hex}",
            experiment_id=experiment_id,
            name=name or "",
            model_type=model_type or "",
            source_run_id=source_run_id or "",
            tags=tags_of(tags),
            params=_params(params or {}),
            actor=user_name(),
            origin=new_origin(),
        )
        return conversion.logged_model_from(self._call(self._server.logged_models.CreateLoggedModel, request))

    def finalize_logged_model(self, model_id: str, status: str = LoggedModelStatus.READY) -> LoggedModel:
        """Say what became of a model. The answer is without its metrics."""
        request = logged_model_pb2.FinalizeLoggedModelRequest(
            model_id=model_id, status=conversion.model_status_of(status), actor=user_name()
        )
        return conversion.logged_model_from(
            self._call(self._server.logged_models.FinalizeLoggedModel, request)
        )

    def get_logged_model(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
        """A model with its params, tags and every value of its metrics."""
        request = logged_model_pb2.GetLoggedModelRequest(
            model_id=model_id, allow_deleted=allow_deleted, consistency=self._consistency
        )
        return conversion.logged_model_from(self._query(self._server.logged_models.GetLoggedModel, request))

    def delete_logged_model(self, model_id: str) -> None:
        """Delete a model softly. Deleting a deleted model changes nothing."""
        request = logged_model_pb2.DeleteLoggedModelRequest(model_id=model_id, actor=user_name())
        self._call(self._server.logged_models.DeleteLoggedModel, request)

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags of a model."""
        request = logged_model_pb2.SetLoggedModelTagsRequest(
            model_id=model_id, tags=tags_of(tags), actor=user_name()
        )
        self._call(self._server.logged_models.SetLoggedModelTags, request)

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Delete a tag of a model. NotFound when it is not set."""
        request = logged_model_pb2.DeleteLoggedModelTagsRequest(
            model_id=model_id, keys=[key], actor=user_name(), origin=new_origin()
        )
        self._call(self._server.logged_models.DeleteLoggedModelTags, request)

    def log_model_params(self, model_id: str, params: Mapping[str, Any]) -> None:
        """Log write-once params of a model, all or none."""
        request = logged_model_pb2.LogLoggedModelParamsRequest(
            model_id=model_id, params=_params(params), actor=user_name()
        )
        self._call(self._server.logged_models.LogLoggedModelParams, request)

    def log_model_metrics(
        self,
        model_id: str,
        metrics: Mapping[str, float],
        timestamp: int | None = None,
        step: int | None = None,
        dataset: Dataset | None = None,
        run_id: str | None = None,
    ) -> None:
        """Log one value of each key that was measured of a model, now. All values are kept.

        timestamp: milliseconds since the epoch, now if None; step: 0 if None. dataset: what it was
        measured on; run_id: the run that measured it.
        """
        values = [
            logged_model_pb2.LoggedModelMetric(
                key=key,
                value=value,
                step=step or 0,
                time_us=time.time_ns() // 1_000 if timestamp is None else timestamp * 1_000,
                dataset_name=dataset.name if dataset else "",
                dataset_digest=dataset.digest if dataset else "",
                run_id=run_id or "",
            )
            for key, value in metrics.items()
        ]
        request = logged_model_pb2.LogLoggedModelMetricsRequest(
            model_id=model_id, metrics=values, actor=user_name()
        )
        self._call(self._server.logged_models.LogLoggedModelMetrics, request)

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, str]] | None = None,
        max_results: int = 50,
        order_by: Sequence[Mapping[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """A page of LoggedModel.

        datasets: {"dataset_name", "dataset_digest"}; only what was measured on one of them counts.
        order_by: {"field_name", "ascending", "dataset_name", "dataset_digest"}, the first alone required.
        """
        request = logged_model_pb2.SearchLoggedModelsRequest(
            experiment_ids=experiment_ids,
            filter=filter_string or "",
            datasets=map(_dataset, datasets or ()),
            order_by=map(_order, order_by or ()),
            page_size=page_size(max_results),
            page_token=page_token or "",
            consistency=self._consistency,
        )
        answer = self._query(self._server.logged_models.SearchLoggedModels, request)
        models = [conversion.logged_model_from(model) for model in answer.models]
        return PagedList(models, answer.next_page_token or None)


def _params(params: Mapping[str, Any]) -> list[read_pb2.Param]:
    return [read_pb2.Param(key=key, value=str(value)) for key, value in params.items()]


def _dataset(of: Mapping[str, Any]) -> logged_model_pb2.DatasetReference:
    return logged_model_pb2.DatasetReference(
        name=of.get("dataset_name", ""), digest=of.get("dataset_digest", "")
    )


def _order(of: Mapping[str, Any]) -> logged_model_pb2.LoggedModelOrder:
    return logged_model_pb2.LoggedModelOrder(
        field=of.get("field_name", ""),
        descending=not of.get("ascending", True),
        dataset=_dataset(of) if "dataset_name" in of else None,
    )
