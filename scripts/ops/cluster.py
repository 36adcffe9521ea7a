"""Nodes on a real Redis and a real Cassandra, for tests of what becomes of them over time: each is started, ended and
started again by itself, as another program too.
"""

import contextlib
import os
import random
import socket
import subprocess

from observed import ROOT, Failed, Observed, get

# A node has `server.drain_timeout` and a few seconds to end.
END_SECONDS = 30


class Cluster(Observed):
    """Redis and Cassandra, while it is entered, and the nodes that are asked for."""

    def start(self):
        self.nodes, self.taken = [], set()
        self.start_redis()
        self.start_cassandra()

    def port(self):
        """One that nobody has now. Found when it is needed and somewhere, for others look for theirs meanwhile."""
        while True:
            port = random.randrange(21000, 32000)
            with contextlib.suppress(OSError), socket.socket() as taking:
                taking.bind(("127.0.0.1", port))
                if port not in self.taken:
                    self.taken.add(port)
                    return port

    def start_redis(self):
        self.redis = self.port()
        self.hold(f"redis-{self.redis}", ["scripts/cluster/redis", self.folder / f"redis-{self.redis}", self.redis])

    def start_cassandra(self):
        """Waits for the disk and is as fast as it gets: `nodetool` and what is kept of it are an operator's."""
        self.cql, storage, self.jmx = (self.port() for _ in range(3))
        self.hold(f"cassandra-{self.cql}", [
            "scripts/cassandra/start", "--keep", "--jmx", self.jmx, self.cassandra_folder(), "127.0.0.1", self.cql, storage,
            f"127.0.0.1:{storage}",
        ], held=True)
        self.until("Cassandra is there", lambda: self.listens(self.cql))

    def cassandra_folder(self):
        return self.folder / f"cassandra-{self.cql}"

    def nodetool(self, *arguments):
        command = [ROOT / "scripts/cassandra/nodetool", self.jmx, *arguments]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise Failed(f"nodetool {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")

    def services(self):
        """How a node and its commands find them."""
        return {
            "BOBCHAT__REDIS__URL": f"redis://127.0.0.1:{self.redis}",
            "BOBCHAT__CASSANDRA__NODES": f"127.0.0.1:{self.cql}",
            "BOBCHAT__CASSANDRA__REPLICATION": "1",
        }

    def node(self, name, environment=None):
        """A node that has not been started yet; without `environment` one of the cluster."""
        node = Node(self, name, self.port(), self.port(), environment)
        self.nodes.append(node)
        return node

    def release(self, name):
        """Ends what was started, in good order, if it runs; returns its exit code."""
        started = self.started.pop(name)
        started.stdin.close()
        try:
            return started.wait(END_SECONDS + 10)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{name} does not end") from late

    def beside(self, name, command):
        """Starts a command that is to end by itself."""
        log = open(self.folder / f"{name}.log", "w")
        started = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT)
        self.ended.callback(started.kill)
        return started

    def said(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")


class Node:
    """A node, or a server that is alone, at a place that stays. `configuration` is a file."""

    configuration = ROOT / "loadtest/bench.toml"

    def __init__(self, cluster, name, public, admin, environment):
        self.cluster, self.name, self.starts, self.runs = cluster, name, 0, None
        self.url, self.admin = f"http://127.0.0.1:{public}", f"http://127.0.0.1:{admin}"
        self.address, self.data = f"127.0.0.1:{public}", cluster.folder / name
        self.own = environment
        self.flags = ["--listen", self.address, "--admin-listen", f"127.0.0.1:{admin}", "--data", self.data]

    def environment(self):
        return {"BOBCHAT__CLUSTER__NODE": self.name} | self.cluster.services() if self.own is None else self.own

    def start(self, program, configuration=None):
        """Starts it and waits until it takes clients."""
        self.starts += 1
        self.runs = f"{self.name}.{self.starts}"
        command = [program, "--config", configuration or self.configuration, *self.flags]
        self.cluster.hold(self.runs, [ROOT / "scripts/while-held", END_SECONDS, *command], held=True, environment=self.environment())
        self.cluster.until(f"{self.runs} is ready", lambda: get(f"{self.admin}/readyz"))

    def stop(self):
        """Ends it in good order."""
        code = self.cluster.release(self.runs)
        if code:
            raise Failed(f"{self.runs} ended with {code}")

    def command(self, program, *arguments, configuration=None):
        """What one of the server's commands says, run as on this node; `(exit code, text)`."""
        command = [program, "--config", configuration or self.configuration, *self.flags, *arguments]
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, timeout=120, cwd=ROOT,
            env={"PATH": os.environ["PATH"], **self.environment()},
        )
        return done.returncode, done.stdout + done.stderr
