"""Codecs: what the three AI protocols look like as bytes.

May import `domain` and msgspec. Promises: no I/O and no clock; nothing here changes a byte that is forwarded; reading
an answer never raises, whatever the bytes, so that a failure costs the usage and never the stream.

A module for each protocol (`openai_chat`, `openai_responses`, `anthropic_messages`), each with its `DIALECT`, and a
module of the same name in `schema` that says what its JSON looks like. What they share lives beside them: `sse` splits
events, `request` peeks at bodies, `readers` and `lenient` read answers, `errors` renders refusals.
"""
