"""The content of a report as one page of HTML that needs nothing else."""

import base64
import hashlib
from importlib.resources import files

# Below it, a hypothesis is called doubtful.
_LEVEL = 0.05
# Charts of a kind, one for each series.
_MOST_CHARTS = 30


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
        most_charts=_MOST_CHARTS,
    )


def number(value: float | None) -> str:
    """Four significant digits, but all before the point, as `written` in page.js."""
    if value is None:
        return "n/a"
    if value and not 1e-3 <= abs(value) < 1e7:
        digits, _, power = f"{value:.2e}".partition("e")
        return f"{digits}e{int(power):+d}"
    # The power of ten after rounding: 999.96 is 1,000.
    power = int(f"{value:.3e}".partition("e")[2])
    is_whole = value == int(value)
    # Adding 0 makes -0 a plain one.
    return f"{value + 0:,.{0 if is_whole else max(0, 3 - power)}f}"


def percent(value: float | None) -> str:
    """A share."""
    if value is None:
        return "n/a"
    text = f"{value:.0%}"
    return "0%" if text == "-0%" else text


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
