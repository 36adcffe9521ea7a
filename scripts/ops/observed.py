"""A cluster of two nodes and a server that is alone, all under load, with what watches them: Prometheus with the
rules, Jaeger, the canary. All of it real, on free ports of this machine.

What is started ends with whoever started it: each is held by a pipe, as scripts/while-held has it.
"""

import contextlib
import json
import math
import pathlib
import random
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "monitoring/prometheus/rules.yaml"
# Two nodes of a cluster, and a server.
NAMES = ["one", "two", "alone"]
# Nodes of a cluster take seconds; a machine that does other things beside takes longer.
PATIENCE = 180


class Failed(Exception):
    pass


def get(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def asked(base, path, **query):
    """What an API answers in JSON."""
    return json.loads(get(f"{base}{path}?{urllib.parse.urlencode(query, doseq=True)}"))


def free_ports(count):
    """Ports that nobody has now, in the range that no client gets by itself; others than somebody else gets who asks too."""
    found = []
    with contextlib.ExitStack() as held:
        for port in random.sample(range(21000, 32000), 1000):
            taking = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                taking.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                return found
    raise Failed("no free ports")


def end(started, patience):
    """Lets go of what `hold` started, and waits for its end."""
    started.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        return started.wait(patience + 10)


class Node:
    """A server, with places that stay when it is started again."""

    def __init__(self, observed, name, public, admin):
        self.observed, self.name = observed, name
        self.public, self.admin = f"127.0.0.1:{public}", f"127.0.0.1:{admin}"
        self.data = observed.folder / name
        # What its commands go by, too.
        self.environment = {} if name not in NAMES[:2] else observed.cluster | {"BOBCHAT__CLUSTER__NODE": name}
        self.flags = ["--config", ROOT / "loadtest/bench.toml", "--listen", self.public, "--admin-listen", self.admin,
                      "--data", self.data]

    def start(self, environment=None, server=None):
        """Starts it, with more in its environment or as another program."""
        self.observed.hold(self.name, [server or self.observed.server, *self.flags],
                           environment=self.environment | self.observed.environment | (environment or {}))

    def until_ready(self):
        self.observed.until(f"{self.name} is ready", lambda: get(f"http://{self.admin}/readyz"))


class Prometheus:
    """One that scrapes nodes and the canary, and goes by rules."""

    def __init__(self, observed, name, port, nodes, rules):
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": "bobchat", "static_configs": [{"targets": [node.admin for node in nodes]}]},
                {"job_name": "bobchat-canary", "static_configs": [{"targets": [observed.canary]}]},
            ],
        }
        # JSON is YAML.
        path = observed.folder / f"{name}.yaml"
        path.write_text(json.dumps(configuration))
        self.url = f"http://127.0.0.1:{port}"
        observed.hold(name, [
            "prometheus", f"--config.file={path}", f"--storage.tsdb.path={observed.folder}/{name}.data",
            f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage",
        ])
        observed.until(f"{name} is there", lambda: get(f"{self.url}/-/ready"))

    def asked(self, path, **query):
        return asked(self.url, path, **query)["data"]

    def figures(self, expression):
        """The finite figures that an expression comes to now."""
        answer = self.asked("/api/v1/query", query=expression)
        values = (float(found["value"][1]) for found in answer["result"])
        return [value for value in values if math.isfinite(value)]


class Observed:
    """Everything, while it is entered. `server` and `harness` are programs."""

    def __init__(self, server, harness):
        self.server, self.harness = (str(pathlib.Path(program).resolve()) for program in (server, harness))
        self.ended = contextlib.ExitStack()
        self.started = {}
        self.ending = threading.Event()
        self.ended.callback(self.ending.set)

    def __enter__(self):
        try:
            self.folder = pathlib.Path(self.ended.enter_context(tempfile.TemporaryDirectory(prefix="bobchat-observed-")))
            self.start()
        except BaseException:
            self.tell()
            self.ended.close()
            raise
        return self

    def __exit__(self, *_):
        self.ended.close()

    def hold(self, name, command, held=False, environment=None, patience=10):
        """Starts a command that ends with this process. `held`: it sees to that by itself; else it has `patience` seconds."""
        log = open(self.folder / f"{name}.log", "a")
        command = command if held else [ROOT / "scripts/while-held", str(patience), *command]
        started = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=ROOT,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", **(environment or {})}, start_new_session=True,
        )

        self.ended.callback(end, started, patience)
        self.started[name] = started

    def release(self, name, patience=10):
        """Ends what was started, if it has not ended by itself; says its exit code."""
        return end(self.started.pop(name), patience)

    def pid(self, name):
        """The program itself, below the script that holds it."""
        below = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(self.started[name].pid)], capture_output=True, text=True)
        return next(int(line.split()[0]) for line in below.stdout.splitlines() if line.split()[1] != "cat")

    def until(self, what, condition, patience=PATIENCE):
        """Waits until a condition holds, and returns what it gave."""
        end = time.monotonic() + patience
        while True:
            with contextlib.suppress(OSError, urllib.error.URLError, ValueError):
                if found := condition():
                    return found
            if gone := [name for name, started in self.started.items() if started.poll() is not None]:
                raise Failed(f"{', '.join(gone)} ended by itself, before: {what}")
            if time.monotonic() > end:
                raise Failed(f"not within {patience} s: {what}")
            time.sleep(0.5)

    def tell(self):
        """The end of each log, for whoever looks why it failed."""
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(errors="replace").strip().splitlines()[-6:]
            print(f"--- {log.stem}", *(line[:300] for line in text), sep="\n")

    def start(self):
        self.redis, cql, storage, prometheus, self.jaeger, otlp, canary, *ports = free_ports(23)
        # Who starts more takes of the spare ones: of those above, not all are listened on at once.
        nodes, jaegers, self.spare = ports[:6], ports[6:11], ports[11:]
        self.start_redis()
        self.hold("cassandra", ["scripts/cassandra/start", self.folder / "cassandra", "127.0.0.1", cql, storage,
                                f"127.0.0.1:{storage}"], held=True)
        flags = ["collector.otlp.grpc", "query.grpc-server", "admin.http", "collector.http-server", "collector.grpc-server"]
        self.hold("jaeger", [
            ROOT / "target/tools/bin/jaeger", f"--query.http-server.host-port=127.0.0.1:{self.jaeger}",
            f"--collector.otlp.http.host-port=127.0.0.1:{otlp}",
            *(f"--{flag}.host-port=127.0.0.1:{port}" for flag, port in zip(flags, jaegers)),
        ])
        self.until("Jaeger is there", lambda: get(f"{self.jaeger_url()}/api/services"))
        self.until("Cassandra is there", lambda: self.listens(cql))
        # Each request is a line then, with its trace.
        self.environment = {"BOBCHAT__TELEMETRY__OTLP_ENDPOINT": f"http://127.0.0.1:{otlp}",
                            "BOBCHAT__TELEMETRY__LOG_FILTER": "info,bobchat=debug"}
        self.cluster = {
            "BOBCHAT__REDIS__URL": f"redis://127.0.0.1:{self.redis}",
            "BOBCHAT__CASSANDRA__NODES": f"127.0.0.1:{cql}",
            "BOBCHAT__CASSANDRA__REPLICATION": "1",
        }
        self.nodes = {name: Node(self, name, *ports) for name, ports in zip(NAMES, zip(nodes[::2], nodes[1::2]))}
        for node in self.nodes.values():
            node.start()
        for node in self.nodes.values():
            node.until_ready()
        self.canary = f"127.0.0.1:{canary}"
        self.prometheus = Prometheus(self, "prometheus", prometheus, self.nodes.values(), RULES)
        *cluster, alone = [f"http://{node.public}" for node in self.nodes.values()]
        to = lambda targets: [word for target in targets for word in ("--target", target)]
        self.hold("canary", [self.harness, "canary", *to(cluster), "--every", "0.5", "--listen", self.canary])
        # Some who talk, some who scroll, and some who come and go.
        for name, targets in [("cluster", cluster), ("alone", [alone])]:
            self.hold(f"mix-{name}", [self.harness, "run", "mix", *to(targets), "--seconds", "600", "--rate", "10",
                                      "--rooms", "4", "--members", "5"])
        for target in [*cluster, alone]:
            threading.Thread(target=self.ask_over_rest, args=[target], daemon=True).start()

    def ask_over_rest(self, target):
        """Asks once a second, as somebody who is not signed in."""
        while not self.ending.wait(1):
            with contextlib.suppress(OSError):
                get(f"{target}/api/v1/me")

    def listens(self, port):
        with socket.create_connection(("127.0.0.1", port), 1):
            return True

    def start_redis(self):
        self.hold("redis", ["scripts/cluster/redis", self.folder / "redis", self.redis])

    def jaeger_url(self):
        return f"http://127.0.0.1:{self.jaeger}"
