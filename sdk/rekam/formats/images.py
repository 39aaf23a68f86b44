"""Images: numpy arrays, Pillow's, or `Image` of either. Names and formats are MLflow's."""

from __future__ import annotations

import logging
import re
import time
import uuid
from os import PathLike
from typing import TYPE_CHECKING, Any

from rekam.errors import Invalid
from rekam.formats.packages import require

if TYPE_CHECKING:
    import numpy
    import PIL.Image

log = logging.getLogger("rekam")

LOGGED_TAG = "mlflow.loggedImages"
_THUMBNAIL = 256
_KEY = re.compile(r"[a-zA-Z0-9_\-./ ]+")
_KINDS = {"b": "bool", "i": "signed integer", "u": "unsigned integer", "f": "floating"}


class Image:
    """An image to be logged, alone or in a column of a table.

    image: a file's path, a numpy array or nested lists (H x W, or with 1, 3 or 4 channels), or Pillow's.
    """

    def __init__(self, image: PIL.Image.Image | numpy.ndarray[Any, Any] | list[Any] | str | PathLike[str]):
        self.image: PIL.Image.Image
        if isinstance(image, str | PathLike):
            self.image = _pillow().open(image)
        elif isinstance(image, list):
            self.image = pillow_image(require("numpy", "numpy", "an image of lists").array(image))
        else:
            self.image = pillow_image(image)
        self.size = self.image.size

    def to_pil(self) -> PIL.Image.Image:
        """As Pillow's image."""
        return self.image

    def to_array(self) -> numpy.ndarray[Any, Any]:
        """As an array of pixels."""
        array: numpy.ndarray[Any, Any] = require("numpy", "numpy", "an image's array").array(self.image)
        return array

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to a file, in the format of its suffix."""
        self.image.save(path)

    def resize(self, size: tuple[int, int]) -> Image:
        """A copy of another size."""
        return Image(self.image.resize(size))


def names(key: str, step: int | None, timestamp: int | None) -> tuple[str, str]:
    """Paths of a stepped image: as it is (.png), and small (.webp), as interfaces look for them."""
    if not _KEY.fullmatch(key):
        raise Invalid(
            f"an image's key has letters, digits, '_', '-', '.', ' ' and '/' only (of ASCII), got {key!r}",
            field="key",
        )
    moment = time.time_ns() // 1_000_000 if timestamp is None else timestamp
    name = f"images/{key.replace('/', '~')}+step+{step or 0}+timestamp+{moment}+{uuid.uuid4()}"
    return f"{name}.png", f"{name}+compressed.webp"


def is_image(value: object) -> bool:
    """Whether a table's cell holds an image."""
    return all(callable(getattr(value, name, None)) for name in ("save", "resize")) and hasattr(value, "size")


def pillow_image(image: Any) -> PIL.Image.Image:
    """An image as Pillow's."""
    pillow = _pillow()
    if isinstance(image, Image):
        return image.image
    if isinstance(image, pillow.Image):
        return image  # type: ignore[no-any-return]
    if not (hasattr(image, "dtype") and hasattr(image, "ndim")):
        raise Invalid(
            f"an image is a numpy array, Pillow's Image or rekam.Image, got {type(image)}", field="image"
        )
    return pillow.fromarray(_bytes_of(image))  # type: ignore[no-any-return]


def small(image: PIL.Image.Image) -> PIL.Image.Image:
    """A copy with 256 pixels on its longer side."""
    longest = max(image.size)
    width, height = (max(1, side * _THUMBNAIL // longest) for side in image.size)
    return image.resize((width, height))


def _pillow() -> Any:
    return require("PIL.Image", "pillow", "an image")


def _bytes_of(array: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """The array as 8-bit values, as Pillow takes it."""
    import numpy

    if array.dtype.kind not in _KINDS:
        kinds = ", ".join(_KINDS.values())
        raise Invalid(f"an image's array is of type {kinds}, got {array.dtype}", field="image")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise Invalid(
            f"an image's array is H x W, or with 1, 3 or 4 channels, got shape {array.shape}", field="image"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype.kind == "b":
        return array.astype(numpy.uint8) * 255
    least, most = (array.min(), array.max()) if array.size else (0, 0)
    if array.dtype.kind in "iu":
        if least < 0 or most > 255:
            raise Invalid(f"an image's integers are 0 to 255, got {least} to {most}", field="image")
        return array.astype(numpy.uint8)
    if least < 0 or most > 1:
        log.warning("an image's floats are 0.0 to 1.0, got %s to %s: they are scaled to that", least, most)
        array = (array - least) / (most - least)
    return (array * 255).astype(numpy.uint8)
