"""The SDK's registered models and versions as MLflow's."""

from __future__ import annotations

from mlflow.entities import model_registry as of_mlflow
from mlflow.entities.model_registry.model_version_status import ModelVersionStatus

from rekam import registered
from rekam_mlflow.addresses import to_client

# Of every version: registering is done when it is answered.
_STATUS = ModelVersionStatus.to_string(ModelVersionStatus.READY)


def registered_model(found: registered.RegisteredModel, store_uri: str) -> of_mlflow.RegisteredModel:
    return of_mlflow.RegisteredModel(
        name=found.name,
        creation_timestamp=found.creation_timestamp,
        last_updated_timestamp=found.last_updated_timestamp,
        description=found.description,
        latest_versions=[model_version(each, store_uri) for each in found.latest_versions],
        tags=[of_mlflow.RegisteredModelTag(key, value) for key, value in found.tags.items()],
        aliases=[
            of_mlflow.RegisteredModelAlias(alias, str(version)) for alias, version in found.aliases.items()
        ],
    )


def model_version(found: registered.ModelVersion, store_uri: str) -> of_mlflow.ModelVersion:
    """What it has not is an empty text, as over REST."""
    return of_mlflow.ModelVersion(
        name=found.name,
        version=str(found.version),
        creation_timestamp=found.creation_timestamp,
        last_updated_timestamp=found.last_updated_timestamp,
        description=found.description,
        user_id=found.user_id,
        current_stage=found.current_stage,
        source=to_client(found.source, store_uri),
        run_id=found.run_id or "",
        status=_STATUS,
        tags=[of_mlflow.ModelVersionTag(key, value) for key, value in found.tags.items()],
        run_link=found.run_link or "",
        aliases=list(found.aliases),
        model_id=found.model_id,
    )
