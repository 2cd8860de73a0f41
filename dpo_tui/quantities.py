"""Numbers as people read them: three significant digits, and the letter of their size."""

_COUNTS = ((1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))
_SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def count(number: int) -> str:
    """Parameters, downloads, rows: 134.5M is `134M`, below a thousand as it is."""
    return _scaled(number, _COUNTS, "")


def size(number: int) -> str:
    """Bytes, in powers of ten as disks and the hub count them: `98.1 MB`."""
    return _scaled(number, _SIZES, " ") if number >= 1_000 else f"{number} B"


def gibibytes(number: int) -> str:
    """Memory in GiB, as devices have it: `0.62`, `23.5`."""
    return _digits(number / 2**30)


def _scaled(number: int, units: tuple[tuple[int, str], ...], space: str) -> str:
    for factor, unit in units:
        if number >= 0.9995 * factor:
            return f"{_digits(number / factor)}{space}{unit}"
    return str(number)


def _digits(value: float) -> str:
    """Three significant digits, without zeros that say nothing."""
    if value >= 99.95:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".")
