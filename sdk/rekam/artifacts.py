"""Files that runs and models keep: the names of `mlflow.artifacts`."""

from rekam.fluent.artifacts import (
    delete_artifacts,
    download_artifacts,
    list_artifacts,
    load_dict,
    load_image,
    load_text,
)

__all__ = ["delete_artifacts", "download_artifacts", "list_artifacts", "load_dict", "load_image", "load_text"]
