"""Orders of the unmodified PyPI client `cent` to connections of `centrifuge-python` while nodes are killed. The key is in RINGWAY_API_KEY.

    RINGWAY_API_KEY=KEY python cent_orders.py 'http://127.0.0.1:PORT/#token=TOKEN'     a demo with two gateways and three nodes

Each connection is subscribed, unsubscribed and disconnected, by either gateway, and must be told exactly that, in this order and once.
An order that nobody could answer for is given again, as its caller would.
"""

import asyncio
import json
import os
import sys
import time
import urllib.request
import uuid
from urllib.parse import urlsplit

import centrifuge
from cent import AsyncClient, CentApiResponseError, DisconnectRequest, SubscribeRequest, UnsubscribeRequest

CONNECTIONS = 40
# Orders of one connection, each of which is repeated for this long. A node that is killed is away for some seconds.
PATIENCE_SECONDS = 30


class Told(centrifuge.ClientEventHandler):
    def __init__(self):
        self.who, self.events = asyncio.Queue(), []

    async def on_connected(self, ctx):
        self.who.put_nowait(ctx.client)

    async def on_subscribed(self, ctx):
        self.events.append("subscribed")

    async def on_unsubscribed(self, ctx):
        self.events.append("unsubscribed")

    async def on_connecting(self, ctx):
        if ctx.code != 0:
            self.events.append(f"connecting {ctx.code}")

    async def on_disconnected(self, ctx):
        self.events.append(f"disconnected {ctx.code}")


class Server:
    def __init__(self, address):
        url = urlsplit(address)
        self.at, self.token = f"{url.scheme}://{url.netloc}", url.fragment.removeprefix("token=")

    def admin(self, path, method="GET"):
        request = urllib.request.Request(self.at + path, method=method, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return json.load(answer)

    async def active(self, count):
        for _ in range(600):
            members = self.admin("/admin/members")["members"]
            if sum(member["state"] == "active" for member in members) == count:
                return members
            await asyncio.sleep(0.1)
        sys.exit(f"FAILED  {count} members are active: {members}")


async def main(address):
    server = Server(address)
    members = await server.active(5)
    gateways = [member["address"] for member in members if "gateway" in member["roles"]]
    backends = [AsyncClient(f"http://{at}/api", api_key=os.environ["RINGWAY_API_KEY"], timeout=10) for at in gateways]
    over = asyncio.Event()
    killer = asyncio.create_task(kill(server, over))
    repeated = await asyncio.gather(*(life(number, gateways, backends, over) for number in range(CONNECTIONS)))
    kills = await killer
    await asyncio.gather(*(backend.close() for backend in backends))
    print(f"ok      {sum(repeated)} rounds of orders to {CONNECTIONS} connections while nodes were killed {kills} times")


async def kill(server, over):
    for nth in range(3):
        node = f"node-{nth + 1}"
        await asyncio.sleep(1)
        server.admin(f"/admin/members/{node}/kill", "POST")
        await asyncio.sleep(3)
        server.admin(f"/admin/members/{node}/start", "POST")
        await server.active(5)
    over.set()
    return nth + 1


async def life(number, gateways, backends, over):
    """One connection after the other, each by its orders."""
    rounds = 0
    while not over.is_set():
        told, backend = Told(), backends[(number + rounds) % 2]
        endpoint = f"ws://{gateways[number % 2]}/connection/websocket"
        client = centrifuge.Client(endpoint, events=told, proxy=None)
        await client.connect()
        one = {"user": "", "client": await asyncio.wait_for(told.who.get(), 10)}
        channel, expected = f"orders-{uuid.uuid4()}", []
        for request, event in (
            (SubscribeRequest(channel=channel, **one), "subscribed"),
            (UnsubscribeRequest(channel=channel, **one), "unsubscribed"),
            (DisconnectRequest(**one), "disconnected 3503"),
        ):
            await done(backend, request)
            expected.append(event)
            await until(lambda: len(told.events) >= len(expected), f"{event} by {one['client']}, not {told.events}")
            assert told.events == expected, (told.events, expected)
        rounds += 1
    return rounds


async def done(backend, request):
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await getattr(backend, request.__api_method__)(request)
        except CentApiResponseError as error:
            if error.code != 100 or time.monotonic() > until:
                raise


async def until(is_so, what):
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"FAILED  {what}")
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
