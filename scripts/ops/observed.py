"""A cluster of two nodes and a server that is alone, all under load, with what watches them: Prometheus with the
rules, Jaeger, the canary. All of it real, on free ports of this machine.

What is started ends with whoever started it: each is held by a pipe, as scripts/while-held has it.
"""

import contextlib
import json
import math
import pathlib
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
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
    """Ports that nobody has now, in the range that no client gets by itself."""
    found = []
    with contextlib.ExitStack() as held:
        for port in range(21000, 32000):
            taking = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                taking.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                return found
    raise Failed("no free ports")


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

    def hold(self, name, command, held=False, environment=None):
        """Starts a command that ends with this process. `held`: it sees to that by itself."""
        log = open(self.folder / f"{name}.log", "w")
        command = command if held else [ROOT / "scripts/while-held", "10", *command]
        started = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=ROOT,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", **(environment or {})}, start_new_session=True,
        )

        def end():
            started.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(20)

        self.ended.callback(end)
        self.started[name] = started

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
        redis, cql, storage, self.prometheus, self.jaeger, otlp, canary, *ports = free_ports(18)
        nodes, jaegers = ports[:6], ports[6:]
        self.hold("redis", ["scripts/cluster/redis", self.folder / "redis", redis])
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
        self.targets, admins = [], []
        for name, (public, admin) in zip(["one", "two", "alone"], zip(nodes[::2], nodes[1::2])):
            shared = {} if name == "alone" else {
                "BOBCHAT__REDIS__URL": f"redis://127.0.0.1:{redis}",
                "BOBCHAT__CASSANDRA__NODES": f"127.0.0.1:{cql}",
                "BOBCHAT__CASSANDRA__REPLICATION": "1",
                "BOBCHAT__CLUSTER__NODE": name,
            }
            # Each request is a line then, with its trace.
            traced = {"BOBCHAT__TELEMETRY__OTLP_ENDPOINT": f"http://127.0.0.1:{otlp}",
                      "BOBCHAT__TELEMETRY__LOG_FILTER": "info,bobchat=debug"}
            self.hold(name, [self.server, "--config", ROOT / "loadtest/bench.toml", "--listen", f"127.0.0.1:{public}",
                             "--admin-listen", f"127.0.0.1:{admin}", "--data", self.folder / name],
                      environment=shared | traced)
            self.targets.append(f"http://127.0.0.1:{public}")
            admins.append(f"127.0.0.1:{admin}")
        for admin in admins:
            self.until(f"{admin} is ready", lambda: get(f"http://{admin}/readyz"))
        self.start_prometheus(admins, f"127.0.0.1:{canary}")
        *cluster, alone = self.targets
        to = lambda targets: [word for target in targets for word in ("--target", target)]
        self.hold("canary", [self.harness, "canary", *to(cluster), "--every", "0.5", "--listen", f"127.0.0.1:{canary}"])
        # Some who talk, some who scroll, and some who come and go.
        for name, targets in [("cluster", cluster), ("alone", [alone])]:
            self.hold(f"mix-{name}", [self.harness, "run", "mix", *to(targets), "--seconds", "600", "--rate", "10",
                                      "--rooms", "4", "--members", "5"])
        for target in self.targets:
            threading.Thread(target=self.ask_over_rest, args=[target], daemon=True).start()

    def ask_over_rest(self, target):
        """Asks once a second, as somebody who is not signed in."""
        while not self.ending.wait(1):
            with contextlib.suppress(OSError):
                get(f"{target}/api/v1/me")

    def listens(self, port):
        with socket.create_connection(("127.0.0.1", port), 1):
            return True

    def start_prometheus(self, admins, canary):
        rules = ROOT / "monitoring/prometheus/rules.yaml"
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": "bobchat", "static_configs": [{"targets": admins}]},
                {"job_name": "bobchat-canary", "static_configs": [{"targets": [canary]}]},
            ],
        }
        # JSON is YAML.
        path = self.folder / "prometheus.yaml"
        path.write_text(json.dumps(configuration))
        self.hold("prometheus", [
            "prometheus", f"--config.file={path}", f"--storage.tsdb.path={self.folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.prometheus}", "--enable-feature=exemplar-storage",
        ])
        self.until("Prometheus is there", lambda: get(f"{self.prometheus_url()}/-/ready"))

    def prometheus_url(self):
        return f"http://127.0.0.1:{self.prometheus}"

    def jaeger_url(self):
        return f"http://127.0.0.1:{self.jaeger}"

    def figures(self, expression):
        """The finite figures that an expression comes to now."""
        answer = asked(self.prometheus_url(), "/api/v1/query", query=expression)
        values = (float(found["value"][1]) for found in answer["data"]["result"])
        return [value for value in values if math.isfinite(value)]
