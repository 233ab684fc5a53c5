"""The content of a report as one page of HTML that needs nothing else."""

import base64
import hashlib
import math
from importlib.resources import files

# Below it, a hypothesis is called doubtful.
_LEVEL = 0.05


def page(content: dict) -> str:
    """The page of a report; names from data are text in it, never markup."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Their keys stand as they were made, and no number may be one that JSON lacks.
    environment.policies["json.dumps_kwargs"] = {
        "allow_nan": False,
        "separators": (",", ":"),
    }
    environment.filters |= {"number": number, "percent": percent, "p_value": p_value}
    style, script = _file("page.css"), _file("page.js")
    return environment.from_string(_file("page.html.jinja")).render(
        content=content,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        level=_LEVEL,
    )


def number(value: float | None) -> str:
    """Four digits that count, as people write them."""
    if value is None:
        return "n/a"
    size = abs(value)
    if size and not 1e-3 <= size < 1e7:
        return f"{value:.3g}"
    if size == int(size):
        return f"{value:,.0f}"
    digits = 0 if size >= 1000 else 3 - math.floor(math.log10(size))
    return f"{value:,.{digits}f}"


def percent(value: float | None) -> str:
    """A share."""
    return "n/a" if value is None else f"{value:.0%}"


def p_value(value: float | None) -> str:
    """A probability that may be small."""
    if value is None:
        return "n/a"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """By which a browser knows the only style or script that it may run."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
