"""Turn the text of a header, a form field or an XML element into the model's type."""

from __future__ import annotations

from typing import Any


def scalar(text: str, shape: Any) -> Any:
    """Return the value; text that does not fit its type is returned as it came."""
    kind = shape.type_name
    if kind == "boolean":
        return text.lower() == "true"
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("float", "double"):
            return float(text)
    except ValueError:
        return text
    return text
