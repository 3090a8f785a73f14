"""Streams of events: what `Client.events` and `AsyncClient.events` give, and what is in them."""

from aibridge.contract.serversentevents import Event, EventType, MalformedEvents
from aibridge.sdk._async.serversentevents import AsyncReader
from aibridge.sdk._sync.serversentevents import Reader

__all__ = ["AsyncReader", "Event", "EventType", "MalformedEvents", "Reader"]
