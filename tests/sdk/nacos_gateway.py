"""A gateway that is found in Nacos, as a Spring Cloud Gateway in front of it does: by the route that the documentation shows.

    python nacos_gateway.py RINGWAY RNACOS docs/spring.md

With NACOS_ADDR set, the server there is used in place of one of our own. The route is read from the document: which service it asks for,
which paths it takes, and what it cuts off. Then an instance of the service is asked of Nacos, and a socket is opened there on both paths.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import websockets
import yaml

# Any single wait.
DEADLINE_SECONDS = 60


def route_of(document):
    """The service, the paths and the number of parts that are cut off, as the route in the document says."""
    with open(document, encoding="utf-8") as text:
        [block] = re.findall(r"```yaml\n(.*?)```", text.read(), re.S)
    cloud = yaml.safe_load(block)["spring"]["cloud"]
    [route] = cloud["gateway"]["routes"]
    [path] = [entry.removeprefix("Path=") for entry in route["predicates"]]
    [cut] = [int(entry.removeprefix("StripPrefix=")) for entry in route["filters"]]
    assert "server-addr" in cloud["nacos"]["discovery"], cloud
    assert route["uri"].startswith("lb:ws://"), route
    return route["uri"].removeprefix("lb:ws://"), path, cut


def forwarded(path, taken, cut):
    """Where a request for a path is sent on to."""
    assert path.startswith(taken.removesuffix("**")), f"{taken} does not take {path}"
    return "/" + "/".join(path.split("/")[1 + cut :])


def instances(nacos, service):
    query = urllib.parse.urlencode({"serviceName": service, "healthyOnly": "true"})
    with urllib.request.urlopen(f"http://{nacos}/nacos/v1/ns/instance/list?{query}", timeout=5) as answer:
        return json.load(answer)["hosts"]


def eventually(what, look):
    end = time.monotonic() + DEADLINE_SECONDS
    last = None
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except (OSError, ValueError) as why:
            last = why
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {DEADLINE_SECONDS} s; last: {last}")


def free_port():
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        # The port for gRPC is 1,000 above, the console's 2,000.
        if port < 60_000:
            return port


@contextlib.contextmanager
def nacos_server(program, folder):
    """The address of a server."""
    if elsewhere := os.environ.get("NACOS_ADDR"):
        yield elsewhere
        return
    port = free_port()
    settings = {
        "RNACOS_HTTP_PORT": port,
        "RNACOS_GRPC_PORT": port + 1000,
        "RNACOS_HTTP_CONSOLE_PORT": port + 2000,
        "RNACOS_DATA_DIR": f"{folder}/nacos",
        "RUST_LOG": "warn",
    }
    environment = os.environ | {name: str(value) for name, value in settings.items()}
    with open(f"{folder}/nacos.log", "w", encoding="utf-8") as log:
        server = subprocess.Popen([os.path.abspath(program)], env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        eventually("Nacos serves", lambda: instances(f"127.0.0.1:{port}", "nobody") == [])
        yield f"127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def gateway(program, nacos, folder):
    """A process that is listed in Nacos, and what it says it listens at."""
    config = f"{folder}/ringway.toml"
    with open(config, "w", encoding="utf-8") as text:
        text.write(f'[cluster]\ncensus = "nacos"\n[nacos]\nservers = ["{nacos}"]\nservice = "members-of-{os.getpid()}"\n')
    arguments = [program, "serve", "--dev", "--port", "0", "--link-listen", "127.0.0.1:0", "--config", config]
    with open(f"{folder}/ringway.log", "w+", encoding="utf-8") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log)

        def said():
            with open(f"{folder}/ringway.log", encoding="utf-8") as text:
                return re.search(r"http://127\.0\.0\.1:(\d+)", text.read())

        try:
            yield process, int(eventually("ringway serves", said)[1])
        finally:
            process.kill()
            process.wait()


async def talk(instance, path, hello, expected):
    url = f"ws://{instance['ip']}:{instance['port']}{path}"
    # No proxy of the environment between this test and a server on the same machine.
    async with websockets.connect(url, proxy=None) as client:
        if hello:
            await client.send(json.dumps(hello))
        answer = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_SECONDS))
        assert expected in answer, answer
        print(f"ok: {path} answers {expected}")


def main(ringway, rnacos, document):
    service, taken, cut = route_of(document)
    print(f"the route asks for {service}, takes {taken} and cuts off {cut}")
    with tempfile.TemporaryDirectory() as folder, nacos_server(rnacos, folder) as nacos:
        with gateway(ringway, nacos, folder) as (process, port):
            mine = lambda: [one for one in instances(nacos, service) if one["port"] == port]
            [instance] = eventually("the gateway is listed", mine)
            print(f"ok: {service} is at {instance['ip']}:{instance['port']}, {instance['metadata']}")
            centrifuge = forwarded("/ufire-websocket/connection/websocket", taken, cut)
            asyncio.run(talk(instance, centrifuge, {"id": 1, "connect": {}}, "connect"))
            asyncio.run(talk(instance, forwarded("/ufire-websocket/socket/ann", taken, cut), None, "type"))
            process.send_signal(signal.SIGTERM)
            eventually("it is listed no longer", lambda: not mine())
            assert process.wait(DEADLINE_SECONDS) == 0
            print("ok: who leaves is listed no longer")


if __name__ == "__main__":
    main(*sys.argv[1:])
