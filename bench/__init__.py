"""The benchmark: what the gateway costs beside nginx and Envoy, on this machine, in one run.

`python -m bench` (or `make bench`) runs it; docs/benchmark.md says what is measured and why in this way. What is
measured has core 0 for itself; clients, the upstream and this program share core 1.
"""


class MeasurementError(Exception):
    """Something did not go as it must for the figures to mean what they say."""
