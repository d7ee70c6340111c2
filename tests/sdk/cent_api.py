"""The unmodified PyPI client `cent` against a running server's API. The key is in RINGWAY_API_KEY.

    RINGWAY_API_KEY=KEY python cent_api.py http://127.0.0.1:PORT
"""

import os
import sys
import uuid
from urllib.parse import urlsplit

from cent import (
    BroadcastRequest,
    CentApiResponseError,
    ChannelsRequest,
    Client,
    DisconnectRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    StreamPosition,
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


def is_so(what, found):
    print(("ok      " if found else "FAILED  ") + what)
    if not found:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
