"""`Relay`: forwards a loopback port to adbd, and misbehaves on request as a bad cable or network does."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

_CHUNK_BYTES = 256 * 1024
# Closing then sends RST: a lost connection, not a polite end.
_ABRUPT = struct.pack("ii", 1, 0)


class Relay:
    """Forwards every connection that `listener` gets to `target`, byte for byte.

    `listener` must be bound to a port by its number: one bound to 0 loses its port when it refuses.
    """

    def __init__(self, listener: socket.socket, target: tuple[str, int]) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._rate: int | None = None
        self._free_at = 0.0
        self._accepting: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    @property
    def stalled(self) -> bool:
        """Whether nothing flows."""
        return not self._flowing.is_set()

    @property
    def accepting(self) -> bool:
        """Whether new connections are let in."""
        return self._accepting is not None

    @property
    def rate_bytes_per_s(self) -> int | None:
        """Limit for all connections together, both directions; None without one."""
        return self._rate

    def accept(self) -> None:
        """Lets connections in."""
        if self._accepting is None:
            self._listener.listen(16)
            self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def refuse(self) -> None:
        """Refuses connections as a port does on which nobody listens, and drops those that are open."""
        if self._accepting is not None:
            self._accepting.cancel()
            self._accepting = None
            # The port stays ours, and a later listen() opens it again.
            self._listener.shutdown(socket.SHUT_RDWR)
        self.drop()

    def drop(self) -> None:
        """Loses every open connection."""
        for connection in self._connections:
            connection.cancel()

    def stall(self) -> None:
        """Lets nothing through any more, in both directions, while all connections stay open."""
        self._flowing.clear()

    def unstall(self) -> None:
        """Lets everything through again, what waited included."""
        self._flowing.set()

    def limit(self, rate_bytes_per_s: int | None) -> None:
        """Limits the rate of all connections together; None lifts the limit."""
        self._rate = rate_bytes_per_s
        self._free_at = 0.0

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            near, _ = await loop.sock_accept(self._listener)
            connection = loop.create_task(self._serve(near))
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)

    async def _serve(self, near: socket.socket) -> None:
        with near, socket.socket() as far:
            try:
                far.setblocking(False)
                await asyncio.get_running_loop().sock_connect(far, self._target)
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await self._exchange(near, far)
            except (OSError, asyncio.CancelledError):
                for end in (near, far):
                    with suppress(OSError):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)

    async def _exchange(self, near: socket.socket, far: socket.socket) -> None:
        directions = [asyncio.ensure_future(self._pump(near, far)), asyncio.ensure_future(self._pump(far, near))]
        try:
            # Both ways to their ends, or until one fails.
            await asyncio.gather(*directions)
        finally:
            for direction in directions:
                direction.cancel()
            # The sockets are closed by the caller, and nobody may still wait on them then.
            await asyncio.gather(*directions, return_exceptions=True)

    async def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._flowing.wait()
            size = _CHUNK_BYTES if self._rate is None else max(1, min(_CHUNK_BYTES, self._rate // 20))
            data = await loop.sock_recv(source, size)
            await self._pace(len(data))
            await self._flowing.wait()
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(sink, data)

    async def _pace(self, size_bytes: int) -> None:
        if self._rate is not None:
            now = asyncio.get_running_loop().time()
            self._free_at = max(now, self._free_at) + size_bytes / self._rate
            await asyncio.sleep(self._free_at - now)
