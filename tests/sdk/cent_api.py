"""The unmodified PyPI client `cent` against a running server's API. The key is in RINGWAY_API_KEY.

    RINGWAY_API_KEY=KEY python cent_api.py http://127.0.0.1:PORT
"""

import asyncio
import os
import sys
import time
import uuid
from urllib.parse import urlsplit

import centrifuge
from cent import (
    AsyncClient,
    BatchRequest,
    BroadcastRequest,
    CentApiResponseError,
    ChannelsRequest,
    Client,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    StreamPosition,
    SubscribeRequest,
    UnsubscribeRequest,
)


def main(server):
    # What a server prints is the address of its page.
    at = urlsplit(server)
    client = Client(f"{at.scheme}://{at.netloc}/api", api_key=os.environ["RINGWAY_API_KEY"], timeout=10)
    channel = f"sdk-cent-{uuid.uuid4()}"

    def publish(data, **more):
        return client.publish(PublishRequest(channel=channel, data=data, **more))

    first = publish({"n": 1}, tags={"k": "v"}, idempotency_key="once")
    is_so("a publication has a place", first.offset == 1 and first.epoch)
    is_so("a key is answered with the first place", publish({"n": 1}, idempotency_key="once").offset == 1)
    is_so("what skips the history has no place", not publish({"n": 3}, skip_history=True).offset)
    is_so("what does not has the next", publish([]).offset == 2)
    several = client.broadcast(BroadcastRequest(channels=[channel, "no such:x"], data={"n": 4}))
    is_so("a broadcast answers for each", several.responses[0].result.offset == 3 and several.responses[1].error.code == 102)
    kept = client.history(HistoryRequest(channel=channel, limit=-1))
    is_so("history gives all that is kept", [one.data for one in kept.publications] == [{"n": 1}, [], {"n": 4}])
    is_so("with its tags", kept.publications[0].tags == {"k": "v"})
    since = StreamPosition(offset=1, epoch=first.epoch)
    rest = client.history(HistoryRequest(channel=channel, limit=1, since=since))
    is_so("and a part of it", [one.offset for one in rest.publications] == [2])
    is_so("nobody is there", client.presence(PresenceRequest(channel=channel)).presence == {})
    is_so("and they are counted", client.presence_stats(PresenceStatsRequest(channel=channel)).num_clients == 0)
    is_so("no channel has a subscriber", channel not in client.channels(ChannelsRequest(pattern="{a,sdk-cent-*}")).channels)
    is_so("members are listed", len(client.info(InfoRequest()).nodes) > 0)
    client.disconnect(DisconnectRequest(user="nobody"))
    try:
        client.publish(PublishRequest(channel="no such:x", data=1))
        is_so("an unknown channel is refused", False)
    except CentApiResponseError as error:
        is_so("an unknown channel is refused", error.code == 102)
    asked = [PublishRequest(channel=channel, data={"n": 5}), HistoryRequest(channel=channel, limit=0), PresenceRequest(channel=channel)]
    for parallel in (False, True):
        replies = client.batch(BatchRequest(requests=asked, parallel=parallel)).replies
        is_so("a batch answers for each", len(replies) == 3 and replies[0].offset and replies[1].epoch == first.epoch)
        is_so("of every kind", replies[2].presence == {})
    client.history_remove(HistoryRemoveRequest(channel=channel))
    left = client.history(HistoryRequest(channel=channel, limit=-1))
    is_so("a history that was removed is empty", left.publications == [] and left.epoch == first.epoch)
    is_so("and its offsets go on", publish({"n": 6}).offset == left.offset + 1)
    asyncio.run(orders(f"{at.scheme}://{at.netloc}/api", f"ws://{at.netloc}/connection/websocket", channel))


class Told(centrifuge.ClientEventHandler):
    """What a connection was told, in order."""

    def __init__(self):
        self.events = asyncio.Queue()

    async def on_connected(self, ctx):
        self.events.put_nowait(("connected", ctx.client))

    async def on_connecting(self, ctx):
        self.events.put_nowait(("connecting", ctx.code))

    async def on_disconnected(self, ctx):
        self.events.put_nowait(("disconnected", ctx.code))

    async def on_subscribed(self, ctx):
        self.events.put_nowait(("subscribed", ctx.channel, ctx.data))

    async def on_unsubscribed(self, ctx):
        self.events.put_nowait(("unsubscribed", ctx.channel))

    async def on_publication(self, ctx):
        self.events.put_nowait(("publication", ctx.pub.data))

    async def next(self):
        event = await asyncio.wait_for(self.events.get(), 10)
        return await self.next() if event == ("connecting", 0) else event


async def orders(api, endpoint, channel):
    """What is ordered is done when it is answered: on one connection, told from others by its id."""
    backend, told = AsyncClient(api, api_key=os.environ["RINGWAY_API_KEY"], timeout=10), Told()
    client = centrifuge.Client(endpoint, events=told, min_reconnect_delay=0.05, proxy=None)
    await client.connect()
    _, who = await told.next()
    one = {"user": "", "client": who}
    await backend.subscribe(SubscribeRequest(channel=channel, data={"for": "you"}, **one))
    is_so("a backend subscribes", await told.next() == ("subscribed", channel, {"for": "you"}))
    await backend.publish(PublishRequest(channel=channel, data=7))
    is_so("what is published then comes", await told.next() == ("publication", 7))
    there = await backend.presence(PresenceRequest(channel=channel))
    is_so("who is subscribed is there", list(there.presence) == [who])
    await backend.unsubscribe(UnsubscribeRequest(channel=channel, **one))
    is_so("a backend unsubscribes", await told.next() == ("unsubscribed", channel))
    await backend.refresh(RefreshRequest(expire_at=int(time.time()) + 600, **one))
    await backend.refresh(RefreshRequest(expired=True, **one))
    is_so("who is expired comes anew", await told.next() == ("connecting", 3005))
    _, again = await told.next()
    is_so("as another connection", again != who)
    await backend.disconnect(DisconnectRequest(user="", client=who))
    await backend.disconnect(DisconnectRequest(user="", client=again))
    is_so("a backend disconnects", await told.next() == ("disconnected", 3503))
    several = await backend.batch(BatchRequest(requests=[InfoRequest(), ChannelsRequest()], parallel=True))
    is_so("an asynchronous client reads a batch", len(several.replies[0].nodes) > 0)
    await backend.close()


def is_so(what, found):
    print(("ok      " if found else "FAILED  ") + what)
    if not found:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
