"""A supervisor's counts and the workers that ask for them, in one process, over real sockets."""

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aibridge.domain.rule import Rule
from aibridge.limits.host import HostCounts
from aibridge.limits.host_service import HostService
from aibridge.limits.memory import Memory


@dataclass
class Host:
    """A supervisor's counts, and the workers that ask for them."""

    memory: Memory
    service: HostService
    workers: list[HostCounts] = field(default_factory=list)
    ends: list[socket.socket] = field(default_factory=list)
    """The supervisor's ends of the workers' sockets."""
    gone: list[int] = field(default_factory=list)
    """Workers that were told that the supervisor is gone."""

    async def hire(self) -> HostCounts:
        ours, theirs = socket.socketpair()
        await self.service.serve(ours)
        self.ends.append(ours)
        number = len(self.workers)
        self.workers.append(await HostCounts.connect(theirs, lambda: self.gone.append(number)))
        return self.workers[-1]

    def kill(self, number: int) -> None:
        """Close a worker's socket, as the kernel does when the process is gone."""
        self.workers[number]._transport.abort()

    async def used(self, rule: int = 0) -> float:
        return sum(present.used for present in await self.memory.present(1000) if present.rule == rule)


@contextlib.asynccontextmanager
async def host(*rules: Rule, workers: int = 2) -> AsyncIterator[Host]:
    memory = Memory(rules)
    made = Host(memory, HostService(memory, rules))
    for _ in range(workers):
        await made.hire()
    try:
        yield made
    finally:
        for worker in made.workers:
            await worker.close()
