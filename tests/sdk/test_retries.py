"""When a client asks again, and when it does not."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from aibridge.sdk import Error
from aibridge.sdk._waiting import LONGEST, retry_after, wait_after_failure
from sdk.sdk_server import Answer, Ask, Server, Slept

JSON = {"content-type": "application/json"}
GONE = Answer(None)


def answer(status: int, **headers: str) -> Answer:
    return Answer(status, b'{"message":"x"}', JSON | {name.replace("_", "-"): value for name, value in headers.items()})


def test_nothing_is_asked_again_by_itself(ask: Ask, server: Server, slept: Slept) -> None:
    server.answers.append(answer(503, retry_after="1"))
    with pytest.raises(Error) as caught:
        ask(lambda client: client.request("GET", "/"), sleep=slept.sleep)
    assert caught.value.retry_after == 1.0
    assert len(server.asked) == 1
    assert slept.waits == []


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [429, 503])
def test_who_is_told_when_comes_back_then(ask: Ask, server: Server, slept: Slept, method: str, status: int) -> None:
    server.answers.append(answer(status, retry_after="2", retry_after_ms="1250"))
    server.answers.append(answer(status, retry_after="7"))
    ask(lambda client: client.request(method, "/", body={"a": 1}), retries=2, sleep=slept.sleep)
    assert slept.waits == [1.25, 7.0]
    assert [asked.body for asked in server.asked] == [b'{"a":1}'] * 3


def test_it_ends_with_the_last_error(ask: Ask, server: Server, slept: Slept) -> None:
    server.answers += [answer(503, retry_after="1"), answer(503, retry_after="2"), answer(503, retry_after="3")]
    with pytest.raises(Error) as caught:
        ask(lambda client: client.request("GET", "/"), retries=2, sleep=slept.sleep)
    assert caught.value.retry_after == 3.0
    assert slept.waits == [1.0, 2.0]


def test_nobody_waits_for_ever(ask: Ask, server: Server, slept: Slept) -> None:
    server.answers.append(answer(429, retry_after="61"))
    with pytest.raises(Error) as caught:
        ask(lambda client: client.request("GET", "/"), retries=2, sleep=slept.sleep)
    assert caught.value.retry_after == 61.0
    assert slept.waits == []


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_passing_failure_is_repeated_where_it_may_arrive_twice(
    ask: Ask, server: Server, slept: Slept, status: int
) -> None:
    server.answers.append(answer(status))
    ask(lambda client: client.request("PUT", "/"), retries=1, sleep=slept.sleep)
    (wait,) = slept.waits
    assert 0.125 <= wait <= 0.25


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 502), ("PATCH", 503), ("GET", 500), ("GET", 429), ("GET", 404)]
)
def test_anything_else_is_not(ask: Ask, server: Server, slept: Slept, method: str, status: int) -> None:
    server.answers.append(answer(status))
    with pytest.raises(Error):
        ask(lambda client: client.request(method, "/"), retries=3, sleep=slept.sleep)
    assert len(server.asked) == 1
    assert slept.waits == []


def test_a_connection_that_breaks_is_tried_again_where_it_may_arrive_twice(
    ask: Ask, server: Server, slept: Slept
) -> None:
    server.answers += [GONE, GONE]
    ask(lambda client: client.request("DELETE", "/"), retries=2, sleep=slept.sleep)
    assert len(server.asked) == 3
    assert len(slept.waits) == 2
    server.asked.clear()
    server.answers.append(GONE)
    with pytest.raises(httpx2.RemoteProtocolError):
        ask(lambda client: client.request("POST", "/"), retries=2, sleep=slept.sleep)
    assert len(server.asked) == 1


def test_waits_grow_up_to_a_bound() -> None:
    for attempt in range(20):
        wait = wait_after_failure("GET", attempt)
        assert wait is not None
        whole = min(0.25 * 2**attempt, LONGEST)
        assert whole / 2 <= wait <= whole


def test_the_time_to_come_back_may_be_a_date() -> None:
    then = datetime.now(UTC) + timedelta(seconds=30)
    wait = retry_after({"retry-after": format_datetime(then, usegmt=True)})
    assert wait is not None
    assert 25 < wait <= 30
    past = datetime.now(UTC) - timedelta(seconds=30)
    assert retry_after({"retry-after": format_datetime(past.replace(tzinfo=None))}) == 0.0


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "²"])
def test_what_cannot_be_read_says_nothing(text: str) -> None:
    assert retry_after({"retry-after": text}) is None
    assert retry_after({}) is None
