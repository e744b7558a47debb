"""asyncssh by itself: the floor of what stands on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncssh

from ..job import Job

# As many as this package has; more at once make each of them late.
_HANDSHAKES = 64


class _Client:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._handshakes = asyncio.Semaphore(_HANDSHAKES)
        self._open: dict[str, asyncssh.SSHClientConnection] = {}

    async def connect(self, host: str) -> asyncssh.SSHClientConnection:
        job = self._job
        async with self._handshakes:
            self._open[host] = connection = await asyncssh.connect(
                host,
                job.port,
                username=job.user,
                client_keys=[job.keyfile],
                known_hosts=([asyncssh.import_public_key(job.host_key)], [], []),
            )
        return connection

    async def run(self, host: str) -> tuple[str, str]:
        connection = self._open.get(host) or await self.connect(host)
        done = await connection.run(self._job.command)
        return host, str(done.stdout)

    async def everywhere(self) -> dict[str, str]:
        return dict(await asyncio.gather(*(self.run(host) for host in self._job.hosts)))

    async def lines(self) -> tuple[int, int]:
        connection = await self.connect(self._job.hosts[0])
        seen, size = 0, 0
        async with connection.create_process(self._job.command, encoding=None) as process:
            async for line in process.stdout:
                seen += 1
                size += len(line)
        return seen, size

    async def put(self, host: str) -> None:
        connection = await self.connect(host)
        async with connection.start_sftp_client() as sftp:
            await sftp.put(self._job.source, f"{self._job.targets}/{host}")

    async def put_everywhere(self) -> None:
        await asyncio.gather(*(self.put(host) for host in self._job.hosts))

    async def close(self) -> None:
        for connection in self._open.values():
            connection.close()
        await asyncio.gather(*(connection.wait_closed() for connection in self._open.values()))


def contact(job: Job) -> Iterator[dict[str, str]]:
    with asyncio.Runner() as runner:
        client = _Client(job)
        yield runner.run(client.everywhere())
        yield runner.run(client.everywhere())
        runner.run(client.close())


def ssh_lines(job: Job) -> Iterator[tuple[int, int]]:
    with asyncio.Runner() as runner:
        client = _Client(job)
        yield runner.run(client.lines())
        runner.run(client.close())


def put(job: Job) -> Iterator[None]:
    with asyncio.Runner() as runner:
        client = _Client(job)
        yield runner.run(client.put_everywhere())
        runner.run(client.close())
