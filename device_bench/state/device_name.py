"""What a person calls a device."""

from __future__ import annotations

from collections.abc import Mapping


def device_name(facts: Mapping[str, object]) -> str | None:
    """Maker and model, the maker once, or else the processor; None if neither is known.

    Args:
        facts: As `DeviceFacts.to_json` writes them; those of a record may be anything.
    """
    maker = str(facts.get("manufacturer") or "")
    name = str(facts.get("model") or facts.get("cpu_name") or facts.get("machine") or "")
    if not name:
        return None
    return name if name.lower().startswith(maker.lower()) else f"{maker} {name}"
