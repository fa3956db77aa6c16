"""Numbers out of samples: percentiles, medians over rounds, ratios, and their texts."""

import datetime
import math
import statistics


def percentile(ordered, share):
    """The smallest value that `share` of a sorted list does not exceed; 0 of an empty one."""
    if not ordered:
        return 0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def latency(samples_us):
    """The percentiles that every system reports, in microseconds."""
    ordered = sorted(samples_us)
    return {"p50": percentile(ordered, 0.5), "p90": percentile(ordered, 0.9),
            "p99": percentile(ordered, 0.99), "p99_9": percentile(ordered, 0.999),
            "max": ordered[-1] if ordered else 0}


def median(values):
    """None where there are no values."""
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def spread(values):
    """(largest - smallest) / median: how far rounds lie apart."""
    values = [value for value in values if value is not None]
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else None


def ratio(above, below):
    """None where one is missing or the lower one is 0."""
    return above / below if above is not None and below else None


def count_text(value):
    """1234567 as "1,234,567"; "-" where there is none."""
    return "-" if value is None else f"{value:,.0f}"


def ms_text(microseconds):
    if microseconds is None:
        return "-"
    ms = microseconds / 1000
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"


def ratio_text(value):
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def percent_text(value):
    return "-" if value is None else f"{value * 100:.0f} %"


def time_s(text):
    """A time of ISO 8601, as seconds since 1970."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
