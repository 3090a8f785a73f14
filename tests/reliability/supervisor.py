"""The supervisor's counts in a process of their own, for one worker.

    supervisor.py DESCRIPTOR RULES

DESCRIPTOR is the supervisor's end of a pair of sockets, RULES are JSON. It decides until its input ends.
"""

import asyncio
import socket
import sys

import msgspec
import uvloop

from aibridge.domain.rule import Rule
from aibridge.limits.host_service import HostService
from aibridge.limits.memory import Memory


async def main(end: socket.socket, rules: list[Rule]) -> None:
    await HostService(Memory(rules), rules).serve(end)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    _, descriptor_, rules_ = sys.argv
    uvloop.run(main(socket.socket(fileno=int(descriptor_)), msgspec.json.decode(rules_, type=list[Rule])))
