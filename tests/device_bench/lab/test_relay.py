"""Real sockets on loopback: an echo server stands for adbd."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from device_bench.lab.launch import free_port
from device_bench.lab.relay import Relay

_SOON_S = 0.15


@dataclass(frozen=True, slots=True)
class Bench:
    relay: Relay
    port: int

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        listener = socket.socket()
        with listener:
            listener.bind(("127.0.0.1", free_port()))
            relay = Relay(listener, server.sockets[0].getsockname())
            relay.accept()
            try:
                yield Bench(relay, listener.getsockname()[1])
            finally:
                relay.refuse()
                await asyncio.sleep(0.01)


def run(check: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with bench() as one:
            await check(one)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_bytes_come_back_as_they_were_sent_in_both_directions_at_once() -> None:
    async def check(one: Bench) -> None:
        sent = bytes(range(256)) * 40_000
        reader, writer = await one.connect()

        async def send() -> None:
            writer.write(sent)
            await writer.drain()
            writer.write_eof()

        sending = asyncio.ensure_future(send())
        assert await reader.read(-1) == sent
        await sending
        writer.close()

    run(check)


def test_the_end_of_a_connection_ends_it_on_both_sides() -> None:
    async def check(one: Bench) -> None:
        _, writer = await one.connect()
        await asyncio.sleep(0.05)
        assert one.relay.connections == 1
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.05)
        assert one.relay.connections == 0

    run(check)


def test_drop_loses_open_connections_abruptly_and_lets_new_ones_in() -> None:
    async def check(one: Bench) -> None:
        reader, writer = await one.connect()
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        one.relay.drop()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        reader, writer = await one.connect()
        writer.write(b"y")
        assert await reader.readexactly(1) == b"y"
        writer.close()

    run(check)


def test_stall_keeps_the_connection_and_loses_nothing() -> None:
    async def check(one: Bench) -> None:
        reader, writer = await one.connect()
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        one.relay.stall()
        assert one.relay.stalled
        writer.write(b"after")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), _SOON_S)
        one.relay.unstall()
        assert await reader.readexactly(5) == b"after"
        writer.close()

    run(check)


def test_a_stalled_relay_uses_no_processor_time() -> None:
    async def check(one: Bench) -> None:
        _, writer = await one.connect()
        one.relay.stall()
        writer.write(b"x" * 2**20)
        await asyncio.sleep(0.05)
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1

        loop = asyncio.get_running_loop()
        select = loop._selector.select  # type: ignore[attr-defined] # noqa: SLF001 - the one place where waiting shows

        def counted(timeout: float | None = None) -> object:
            count()
            return select(timeout)

        loop._selector.select = counted  # type: ignore[attr-defined] # noqa: SLF001
        await asyncio.sleep(0.3)
        assert turns < 10
        writer.transport.abort()

    run(check)


def test_a_refused_port_refuses_as_if_nobody_listened_and_accepts_again_later() -> None:
    async def check(one: Bench) -> None:
        reader, writer = await one.connect()
        await asyncio.sleep(0.05)
        one.relay.refuse()
        assert not one.relay.accepting
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await one.connect()
        one.relay.accept()
        reader, writer = await one.connect()
        writer.write(b"back")
        assert await reader.readexactly(4) == b"back"
        writer.close()

    run(check)


def test_accept_and_refuse_twice_are_as_once() -> None:
    async def check(one: Bench) -> None:
        one.relay.accept()
        one.relay.refuse()
        one.relay.refuse()
        one.relay.accept()
        _, writer = await one.connect()
        writer.close()

    run(check)


def test_a_rate_holds_for_all_connections_together() -> None:
    async def check(one: Bench) -> None:
        loop = asyncio.get_running_loop()
        one.relay.limit(200_000)

        async def there_and_back() -> None:
            reader, writer = await one.connect()
            writer.write(b"x" * 20_000)
            await reader.readexactly(20_000)
            writer.close()

        started = loop.time()
        await asyncio.gather(there_and_back(), there_and_back())
        # 2 connections, 2 directions, 20 kB each: 0.4 s; the last piece of each may still be on its way.
        assert 0.3 < loop.time() - started < 3
        one.relay.limit(100)
        one.relay.limit(None)
        # At the last rate it would take minutes.
        async with asyncio.timeout(20):
            await there_and_back()

    run(check)


def test_a_dead_adbd_loses_the_connection() -> None:
    async def main() -> None:
        with socket.socket() as nobody, socket.socket() as listener:
            nobody.bind(("127.0.0.1", 0))
            listener.bind(("127.0.0.1", 0))
            relay = Relay(listener, nobody.getsockname())
            relay.accept()
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
            writer.close()
            relay.refuse()
            await asyncio.sleep(0.01)

    asyncio.run(main())
