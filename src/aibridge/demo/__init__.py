"""The demo provider: speaks like OpenAI and Anthropic, has no model behind it, and fails on request.

`make run` serves it when no provider is configured, tests and the benchmark use it as their upstream, and people try
limits, retries and deadlines with it. `docs/demo-provider.md` is its page.

May import the standard library, msgspec, httptools, uvloop and `aibridge.domain`. Promises: the documented event
sequences of the three protocols, deterministic texts and usage, and faults that happen exactly where they were asked.
"""

from aibridge.demo.behaviour import Behaviour, BehaviourError, Key, describe, override
from aibridge.demo.server import DemoServer, run, start

__all__ = ["Behaviour", "BehaviourError", "DemoServer", "Key", "describe", "override", "run", "start"]
