"""The way in to a server, which can be cut: as a balancer that dies, or a line that somebody dug up."""

import asyncio
import contextlib
import threading


class Relay:
    """Passes bytes on from a port to a server. Nobody gets in while it is cut, and who was in is out at once."""

    def __init__(self, port, server):
        self.port, self.server = port, server.split(":")
        self.writers, self.listener = set(), None
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.mend()

    def mend(self):
        self.do(self.listen())

    def cut(self):
        self.do(self.close())

    def do(self, work):
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def listen(self):
        self.listener = await asyncio.start_server(self.pass_on, "127.0.0.1", self.port, backlog=1024)

    async def close(self):
        self.listener.close()
        for writer in self.writers:
            writer.transport.abort()

    async def pass_on(self, from_client, to_client):
        with contextlib.suppress(OSError):
            from_server, to_server = await asyncio.open_connection(*self.server)
            pair = {to_client, to_server}
            self.writers |= pair
            try:
                await asyncio.gather(copy(from_client, to_server), copy(from_server, to_client))
            finally:
                self.writers -= pair


async def copy(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
