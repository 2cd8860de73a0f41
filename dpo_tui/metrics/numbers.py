"""Numbers, durations and ages as people read them."""

from dpo_tui.text import t

_LARGE = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
_DURATIONS = (
    (86_400, 3_600, "days", "hours"),
    (3_600, 60, "hours", "minutes"),
    (60, 1, "minutes", "seconds"),
)

_PLACES = (99.95, 9.995, 0.9995, 0.09995, 0.009995)

NONE = "–"
"""Where a number would stand, and there is none."""


def short(value: float | None) -> str:
    """Three significant digits, four below ten thousand: 0.412, 9812, 12.3k, 3e-6."""
    if value is None or value != value:
        return NONE
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.000995:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{_trimmed(mantissa)}e{int(exponent)}"
    if size < 9999.5:
        return f"{value:.0f}" if size >= 99.95 else f"{value:.{_decimals(size)}f}"
    for factor, letter in _LARGE:
        if 0.9995 * factor <= size < 999.5e12:
            scaled = value / factor
            return f"{scaled:.{max(0, _decimals(abs(scaled)))}f}{letter}"
    return f"{value:.2e}".replace("e+", "e")


def signed(value: float | None) -> str:
    """`short` with its sign, for numbers around zero."""
    text = short(value)
    return f"+{text}" if value is not None and value > 0 else text


def duration(seconds: float | None) -> str:
    """The two largest units: 3h 05m, 12m, 42s."""
    if seconds is None or not 0 <= seconds < 1e10:
        return NONE
    for large, small, one, other in _DURATIONS:
        if seconds >= large:
            first, rest = divmod(int(seconds), large)
            if large == 60 and first >= 10:
                return t("time.minutes", n=first)
            return t(f"time.{one}_{other}", a=first, b=rest // small)
    return t("time.seconds", n=f"{seconds:.1f}" if seconds < 9.95 else int(seconds))


def ago(seconds: float | None) -> str:
    """How long something is past: just now, 2m ago, 3h ago, 5d ago."""
    if seconds is None or not seconds < 1e10:
        return NONE
    for length, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= length:
            return t("time.ago", age=t(f"time.{unit}", n=int(seconds // length)))
    return t("time.now")


def _decimals(size: float) -> int:
    """Places after the point that make three significant digits."""
    return next((places for places, least in enumerate(_PLACES) if size >= least), len(_PLACES))


def _trimmed(mantissa: str) -> str:
    return mantissa.rstrip("0").rstrip(".")
