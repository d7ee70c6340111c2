"""The unmodified PyPI client `centrifuge-python` against a running server that welcomes anonymous clients.

    python centrifuge_python.py http://127.0.0.1:PORT                  in JSON
    FORM=protobuf python centrifuge_python.py http://127.0.0.1:PORT    in Protobuf

Two clients subscribe, talk, read history and presence; then one leaves and must recover all it missed.
"""

import asyncio
import json
import os
import sys
import time
import uuid
from urllib.parse import urlsplit

from centrifuge import Client, ReplyError, SubscriptionEventHandler

# Any single wait.
DEADLINE_SECONDS = 10

# Which form the clients speak.
PROTOBUF = os.environ.get("FORM") == "protobuf"


def payload(n):
    """Payloads of the Protobuf form are bytes."""
    return json.dumps({"n": n}).encode() if PROTOBUF else {"n": n}


def number(data):
    return (json.loads(data) if PROTOBUF else data)["n"]


class Heard(SubscriptionEventHandler):
    """What one client heard, and how each of its subscribings ended."""

    def __init__(self):
        self.publications = []
        self.subscribings = []

    async def on_publication(self, ctx):
        self.publications.append((ctx.pub.offset, number(ctx.pub.data)))

    async def on_subscribed(self, ctx):
        self.subscribings.append(ctx)


class Person:
    def __init__(self, endpoint, channel):
        self.heard = Heard()
        # No proxy of the environment between this test and a server on the same machine.
        self.client = Client(
            endpoint, use_protobuf=PROTOBUF, min_reconnect_delay=0.05, max_reconnect_delay=0.2, proxy=None
        )
        self.subscription = self.client.new_subscription(channel, events=self.heard)

    async def arrive(self):
        await self.client.connect()
        await self.subscription.subscribe()
        await self.client.ready(DEADLINE_SECONDS)
        await self.subscription.ready(DEADLINE_SECONDS)


async def main(server):
    endpoint = f"ws://{urlsplit(server).netloc}/connection/websocket"
    channel = f"sdk-python-{uuid.uuid4()}"
    alice, bob = Person(endpoint, channel), Person(endpoint, channel)
    await alice.arrive()
    await bob.arrive()
    await step("two clients subscribe, with a position", subscribed(alice, bob))
    await step("a publication reaches both, in order and once", delivered(alice, bob))
    await step("history gives it back", history(bob))
    await step("presence names both clients", presence(alice))
    await step("after disconnect and connect, nothing is missing", recovers(alice, bob))
    await step("another user's inbox is refused by code", foreign_inbox(alice))
    await alice.client.disconnect()
    await bob.client.disconnect()


async def subscribed(*people):
    for person in people:
        first = person.heard.subscribings[0]
        assert first.recoverable, "the channel can be recovered"
        assert first.stream_position.offset == 0, "nothing was published yet"
        assert first.stream_position.epoch, "the stream has an epoch"


async def delivered(alice, bob):
    await publish(alice, 1, 20)
    for person in (alice, bob):
        await until("20 publications", lambda: len(person.heard.publications) >= 20)
        assert person.heard.publications == numbers(1, 20), person.heard.publications


async def history(bob):
    answer = await bob.subscription.history(limit=100, timeout=DEADLINE_SECONDS)
    assert answer.offset == 20, answer.offset
    assert [(pub.offset, number(pub.data)) for pub in answer.publications] == numbers(1, 20)


async def presence(alice):
    answer = await alice.subscription.presence(timeout=DEADLINE_SECONDS)
    assert len(answer.clients) == 2, answer.clients
    stats = await alice.subscription.presence_stats(timeout=DEADLINE_SECONDS)
    assert stats.num_clients == 2, stats.num_clients


async def recovers(alice, bob):
    """Bob is away while ten are published; what he heard in all must be every number once, in order."""
    await bob.client.disconnect()
    await publish(alice, 21, 30)
    await bob.client.connect()
    await until("bob subscribed again", lambda: len(bob.heard.subscribings) == 2)
    again = bob.heard.subscribings[1]
    assert again.was_recovering and again.recovered, again
    await until("bob heard what he missed", lambda: len(bob.heard.publications) >= 30)
    await publish(alice, 31, 31)
    await until("and what came after", lambda: len(bob.heard.publications) >= 31)
    assert bob.heard.publications == numbers(1, 31), bob.heard.publications


async def foreign_inbox(alice):
    try:
        await alice.client.history("#somebody-else", limit=1, timeout=DEADLINE_SECONDS)
    except ReplyError as refusal:
        assert refusal.code == 103, refusal
    else:
        raise AssertionError("reading another user's inbox was allowed")


async def publish(person, first, last):
    for _, n in numbers(first, last):
        await person.subscription.publish(payload(n), timeout=DEADLINE_SECONDS)


def numbers(first, last):
    """Offsets and contents; both begin at 1 and follow one another."""
    return [(n, n) for n in range(first, last + 1)]


async def until(what, condition):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {DEADLINE_SECONDS} s in vain: {what}")
        await asyncio.sleep(0.005)


async def step(name, run):
    start = time.monotonic()
    try:
        await run
    except Exception as error:
        sys.exit(f"FAIL  {name}\n  {type(error).__name__}: {error}")
    print(f"ok    {name} ({(time.monotonic() - start) * 1000:.0f} ms)", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: centrifuge_python.py http://HOST:PORT", file=sys.stderr)
        sys.exit(64)
    asyncio.run(asyncio.wait_for(main(sys.argv[1]), timeout=6 * DEADLINE_SECONDS))
