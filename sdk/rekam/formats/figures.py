"""Figures of matplotlib and plotly, known by what they can do: neither is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rekam.errors import Invalid

_PLOTLY_IMAGES = (".png", ".jpeg", ".webp", ".svg", ".pdf")


def save(figure: Any, to: Path, options: Mapping[str, Any]) -> None:
    """Write a figure to a file, in the format of its suffix. options: of the figure's own method."""
    if hasattr(figure, "savefig"):
        figure.savefig(to, **options)
    elif not hasattr(figure, "write_html"):
        raise Invalid(f"a figure is matplotlib's or plotly's, got {type(figure)}", field="figure")
    elif to.suffix == ".html":
        figure.write_html(str(to), **{"include_plotlyjs": "cdn", "auto_open": False, **options})
    elif to.suffix in _PLOTLY_IMAGES:
        figure.write_image(str(to), **options)
    else:
        known = ", ".join((".html", *_PLOTLY_IMAGES))
        raise Invalid(f"a plotly figure is saved as one of {known}, got {to.suffix!r}", field="artifact_file")
