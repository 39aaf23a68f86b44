"""Registry store of rekam://host:port: MLflow's calls as the SDK's.

Prompts are registered models with a tag: what MLflow's base class does about them ends in calls of this
store.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from mlflow.entities.model_registry import (
    ModelVersion,
    ModelVersionTag,
    RegisteredModel,
    RegisteredModelTag,
)
from mlflow.prompt.registry_utils import has_prompt_tag
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry import (
    SEARCH_MODEL_VERSION_MAX_RESULTS_DEFAULT,
    SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD,
    SEARCH_REGISTERED_MODEL_MAX_RESULTS_DEFAULT,
)

from rekam import Client, registered
from rekam.entities import LoggedModel
from rekam.errors import Invalid, NotFound
from rekam_mlflow.addresses import server_of, to_client, to_server
from rekam_mlflow.conversion import values
from rekam_mlflow.errors import raises_as_mlflow
from rekam_mlflow.registered_conversion import model_version, registered_model
from rekam_mlflow.webhooks import WebhookStore

# The SDK's largest page; MLflow's clients may ask for more at once.
_PAGE = 10_000
_MODELS = "models:/"


@raises_as_mlflow
class RegistryStore(WebhookStore):
    """Any number of threads may use one, and forked children."""

    def __init__(self, store_uri: str, tracking_uri: str | None = None) -> None:
        super().__init__(store_uri, tracking_uri)
        self._uri = store_uri
        self._client = Client(server_of(store_uri))

    # ---- registered models ----

    def create_registered_model(
        self,
        name: str,
        tags: Sequence[RegisteredModelTag] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> RegisteredModel:
        return self._model(self._client.create_registered_model(name, values(tags), description))

    def update_registered_model(
        self, name: str, description: str | None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        return self._model(self._client.update_registered_model(name, description))

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        return self._model(self._client.rename_registered_model(name, new_name))

    def delete_registered_model(self, name: str) -> None:
        self._client.delete_registered_model(name)

    def get_registered_model(self, name: str) -> RegisteredModel:
        return self._model(self._client.get_registered_model(name))

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModel]:
        page = self._client.search_registered_models(
            filter_string,
            SEARCH_REGISTERED_MODEL_MAX_RESULTS_DEFAULT if max_results is None else max_results,
            order_by,
            page_token,
        )
        return PagedList([self._model(found) for found in page], page.token)

    def set_registered_model_tag(self, name: str, tag: RegisteredModelTag) -> None:
        self._client.set_registered_model_tag(name, tag.key, tag.value)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        self._client.delete_registered_model_tag(name, key)

    # ---- versions ----

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Sequence[ModelVersionTag] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        source, location = to_server(source, self._uri), None
        if source.startswith(f"{_MODELS}m-"):
            made = self._logged_model(source)
            location, run_id, model_id = made.artifact_location, run_id or made.source_run_id, made.model_id
        elif not has_prompt_tag(values(tags)) and urlsplit(source).scheme in ("", "file"):
            raise Invalid(
                f"Invalid model version source: {source!r}. It is a path of a disk: log its files to a run "
                "first",
                field="source",
            )
        return self._version(
            self._client.create_model_version(
                name, source, run_id, values(tags), run_link, description, model_id, location=location
            )
        )

    def copy_model_version(self, src_mv: ModelVersion, dst_name: str) -> ModelVersion:
        return self._version(self._client.copy_model_version(src_mv, dst_name))

    def update_model_version(self, name: str, version: int | str, description: str | None) -> ModelVersion:
        return self._version(self._client.update_model_version(name, _number(name, version), description))

    def transition_model_version_stage(
        self, name: str, version: int | str, stage: str, archive_existing_versions: bool
    ) -> ModelVersion:
        return self._version(
            self._client.transition_model_version_stage(
                name, _number(name, version), stage, archive_existing_versions
            )
        )

    def delete_model_version(self, name: str, version: int | str) -> None:
        self._client.delete_model_version(name, _number(name, version))

    def get_model_version(self, name: str, version: int | str) -> ModelVersion:
        return self._version(self._client.get_model_version(name, _number(name, version)))

    def get_model_version_download_uri(self, name: str, version: int | str) -> str:
        location = self._client.get_model_version_download_uri(name, _number(name, version))
        return to_client(location, self._uri)

    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> list[ModelVersion]:
        return [self._version(found) for found in self._client.get_latest_versions(name, stages)]

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersion]:
        wanted = SEARCH_MODEL_VERSION_MAX_RESULTS_DEFAULT if max_results is None else max_results
        if wanted > SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD:
            raise Invalid(
                f"must be at most {SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD}, got {wanted}",
                field="max_results",
            )
        found: list[ModelVersion] = []
        while True:
            page = self._client.search_model_versions(
                filter_string, min(_PAGE, wanted - len(found)), order_by, page_token
            )
            found += [self._version(each) for each in page]
            page_token = page.token
            if not page_token or len(found) == wanted:
                return PagedList(found, page_token)

    def set_model_version_tag(self, name: str, version: int | str, tag: ModelVersionTag) -> None:
        self._client.set_model_version_tag(name, _number(name, version), tag.key, tag.value)

    def delete_model_version_tag(self, name: str, version: int | str, key: str) -> None:
        self._client.delete_model_version_tag(name, _number(name, version), key)

    # ---- aliases ----

    def set_registered_model_alias(self, name: str, alias: str, version: int | str) -> None:
        self._client.set_registered_model_alias(name, alias, _number(name, version))

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        self._client.delete_registered_model_alias(name, alias)

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        try:
            return self._version(self._client.get_model_version_by_alias(name, alias))
        except NotFound as error:
            if error.field != "alias":
                raise
            # As MLflow's own store says it; its prompts depend on it.
            raise Invalid(error.message, field=error.field) from error

    def _logged_model(self, source: str) -> LoggedModel:
        try:
            return self._client.get_logged_model(source.removeprefix(_MODELS))
        except NotFound as error:
            raise Invalid(
                f"Unable to fetch model from model URI source artifact location {source!r}: {error.message}",
                field="source",
            ) from error

    def _model(self, found: registered.RegisteredModel) -> RegisteredModel:
        return registered_model(found, self._uri)

    def _version(self, found: registered.ModelVersion) -> ModelVersion:
        return model_version(found, self._uri)


def _number(name: str, version: int | str) -> int:
    """A version's number. Of no version is one below 1."""
    try:
        number = int(version)
    except ValueError:
        raise Invalid(f"Parameter 'version' must be an integer, got {version!r}.", field="version") from None
    if number < 1:
        raise NotFound(f"Model Version (name={name}, version={number}) not found", field="version")
    return number
