import msgspec

from bench.ledger import Counts, Sent
from bench.machine import Machine
from bench.measures import Figure, Plan
from bench.report import Findings, as_json, markdown
from bench.streams import Load

MACHINE = Machine(
    cpu="A CPU",
    cores=2,
    kernel="6.1",
    python="3.11.2",
    aibridge="0.1",
    nginx="1.22.1",
    envoy="1.40.0",
    wrk="4.1.0",
    date="2026-11-24",
)
PLAN = Plan(rounds=3, seconds=1, load=Load(connections=1, streams=1, events=5, interval=0.01), calls=50)
CPU = Figure(
    what="CPU per unary call",
    unit="µs",
    how="so",
    values={"gateway": [30.0, 60.0, 40.0], "nginx": [15.0, 20.0, 20.0], "envoy": [60.0, 120.0, 90.0]},
    comparable=True,
)
START = Figure(what="start", unit="s", how="thus", values={"gateway": [0.5, 0.7, 0.6]})


def test_the_table_has_medians_and_the_median_of_the_ratios_of_each_round() -> None:
    lines = markdown(Findings(machine=MACHINE, plan=PLAN, figures=[CPU, START])).splitlines()
    assert lines[0].startswith("A CPU, 2 cores, Linux 6.1, Python 3.11.2, AI Bridge 0.1, nginx 1.22.1")
    assert lines[-2] == (
        "| CPU per unary call, µs | 40.0 (30.0 to 60.0) | 20.0 (15.0 to 20.0) | 90.0 (60.0 to 120) "
        "| 2.00 (2.00 to 3.00) | 0.500 (0.444 to 0.500) | so |"
    )
    assert lines[-1] == "| start, s | 0.600 (0.500 to 0.700) |  |  |  |  | thus |"
    assert {line.count("|") for line in lines[4:]} == {8}


def test_the_table_says_what_the_ledger_holds() -> None:
    counts = Counts(completed=1001, given_up=2, open=0, with_usage=1001)
    findings = Findings(machine=MACHINE, plan=PLAN, figures=[], ledger=counts, sent=Sent(answered=1000, cut_off=32))
    last = markdown(findings).splitlines()[-1]
    assert "1,000 calls were answered" in last
    assert "it holds 1,001 completed calls, 1,001 of them with their usage, and 2 that were given up" in last


def test_json_has_every_round_and_the_ratios() -> None:
    decoded = msgspec.json.decode(as_json(Findings(machine=MACHINE, plan=PLAN, figures=[CPU])))
    assert decoded["figures"][0]["values"]["gateway"] == [30.0, 60.0, 40.0]
    assert decoded["machine"]["cpu"] == "A CPU"
    assert [(ratio["of"], ratio["spread"]["median"]) for ratio in decoded["ratios"]] == [("nginx", 2.0), ("envoy", 0.5)]
