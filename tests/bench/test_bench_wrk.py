import pytest

from bench import MeasurementError, wrk

OUTPUT = """Running 1s test @ http://127.0.0.1:4001/openai/v1/chat/completions
  1 threads and 32 connections
  Non-2xx or 3xx responses: 3
Requests/sec:   9910.71

{"requests": 10011, "microseconds": 1010119, "refused": 3, "broken": 0}
"""


def test_the_report_is_the_last_line() -> None:
    report = wrk.read(OUTPUT)
    assert report == wrk.Report(requests=10011, microseconds=1010119, refused=3, broken=0)
    assert report.answered == 10008


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1 Connection refused\n", '{"requests": 1}\n'])
def test_anything_else_is_not_taken_for_a_report(output: str) -> None:
    with pytest.raises(MeasurementError, match="cannot read"):
        wrk.read(output)
