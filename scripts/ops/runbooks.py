"""Brings about what docs/runbooks.md says that people are woken by, waits for what it says that they see, does what it says,
and sees that it is over. People talk meanwhile (`bobchat-loadtest torture load`): in the end nothing that was acknowledged is
lost, at any of them.

Rules are the shipped ones, with one change: what has to last for minutes (`for:`) has to last 2 s here.
"""

import contextlib
import re
import shutil
import subprocess
import threading
import time

from observed import RULES, ROOT, Failed, Node, Prometheus, end, get
from person import Person
from relay import Relay

# People at the server on a small disk: more than 100, or nobody is woken when they are gone.
CROWD = 150
DISK_BYTES = 192 << 20
# How long a situation is looked back at: BobchatConnectionsLost compares with the people of five minutes ago.
BEFORE_SECONDS = 300
# What somebody is told whose message was taken, and who waits for it to be.
SAID, BUSY = (201, None), (503, "busy")


class Page:
    """A section of docs/runbooks.md. What is done here has to stand in it."""

    def __init__(self, tried, name):
        self.tried, self.name = tried, name
        text = (ROOT / "docs/runbooks.md").read_text()
        found = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
        if not found:
            raise Failed(f"docs/runbooks.md has no section {name}")
        self.text = " ".join(found[1].split())

    def says(self, words):
        if words not in self.text:
            raise Failed(f"docs/runbooks.md, {self.name}, does not say: {words}")

    def do(self, command, node=None, status=0, more=None, **places):
        """Runs a command as the page has it, with its places (PORT, FILE) filled in; gives what it printed."""
        self.says(f"`{command}`")
        for place, value in places.items():
            command = command.replace(place, str(value))
        words = command.split()
        if words[0] == "bobchat":
            words = [self.tried.server, *words[1:], *(str(flag) for flag in node.flags)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=self.tried.folder,
                              env={"PATH": "/usr/bin:/bin", "USER": "operator", **(node.environment if node else {}), **(more or {})})
        said = done.stdout + done.stderr
        if done.returncode != status:
            raise Failed(f"{command}: exit code {done.returncode}, not {status}: {said}")
        return said


class Tried:
    """The cluster, a server on a small disk behind a way in that can be cut, and people at both."""

    def __init__(self, observed):
        self.observed, self.server, self.folder = observed, observed.server, observed.folder
        self.one, self.two = (observed.nodes[name] for name in ("one", "two"))
        public, admin, way, *watching = observed.spare
        self.small = Node(observed, "small", public, admin)
        self.mount()
        # Few make the flood of many: each has more on its way than a person may have.
        self.small.start({"BOBCHAT__LIMITS__REQUESTS_IN_FLIGHT": "1000"})
        self.small.until_ready()
        self.of_cluster, self.of_small = self.watch(watching)
        self.way = Relay(way, self.small.public)
        self.talk("people", [self.one.public, self.two.public], "--clients", "12", "--roaming", "3", "--rooms", "3", "--rate", "2")
        self.talk("crowd", [f"127.0.0.1:{way}"], "--clients", str(CROWD), "--roaming", "0", "--rooms", "2", "--rate", "0.02")
        # All of them come from one address: that of the way in.
        Page(self, "BobchatConnectionsLost").do("bobchat config set limits.connections_per_address_before_auth=1000", self.small)
        self.until_there("crowd", CROWD)
        self.crowded = time.monotonic()

    def mount(self):
        """A disk that can be filled."""
        self.small.data.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", self.small.data], check=True)
        # Not before the server has ended.
        self.observed.ended.callback(subprocess.run, ["umount", "--lazy", self.small.data])

    def watch(self, ports):
        """Prometheus, told by the rules in seconds: one of the cluster, one of the server that is alone, as their operators
        have it, for each job is held to be one cluster."""
        rules = self.folder / "rules.yaml"
        text, changed = re.subn(r"^( +for:) \w+$", r"\1 2s", RULES.read_text(), flags=re.MULTILINE)
        if not changed:
            raise Failed("no rule waits: were they read?")
        rules.write_text(text)
        parts = {"of-cluster": [self.one, self.two], "of-small": [self.small]}
        return [Prometheus(self.observed, name, port, nodes, rules) for (name, nodes), port in zip(parts.items(), ports)]

    def talk(self, name, nodes, *options):
        """People who talk, and hold everybody to what was promised, until they are told to end."""
        to = [word for node in nodes for word in ("--node", node)]
        self.observed.hold(name, [self.observed.harness, "torture", "load", *to, *options, "--seconds", "900", "--agree", "60"],
                           patience=150)

    def judge(self, name):
        """Ends it; everything has to come to rest and every promise to have been kept."""
        status = self.observed.release(name, 150)
        verdict = (self.folder / f"{name}.log").read_text().strip()
        if status != 0:
            raise Failed(f"{name}: exit code {status}: {verdict}")
        print(f"{name}: {verdict.splitlines()[0]}; every promise kept", flush=True)

    def until_there(self, name, count):
        self.observed.until(f"{count} of the {name} are there", lambda: self.sessions() >= count)

    def sessions(self):
        return sum(self.of_small.figures("bobchat_sessions"))

    def firing(self, alert):
        """Where it fires."""
        told = [found for by in (self.of_cluster, self.of_small) for found in by.asked("/api/v1/alerts")["alerts"]]
        return [found["labels"].get("instance", "all") for found in told
                if found["labels"]["alertname"] == alert and found["state"] == "firing"]

    def until_fires(self, alert, *nodes, which=all):
        """Waits until somebody is told of these nodes, or without any of all of them together; gives the page for it."""
        wanted = [node.admin for node in nodes] or ["all"]
        self.observed.until(f"{alert} fires at {wanted}", lambda: which(node in self.firing(alert) for node in wanted))
        return Page(self, alert)

    def until_clears(self, alert):
        self.observed.until(f"{alert} clears", lambda: not self.firing(alert))

    def until_said(self, person, patience=30):
        began = time.monotonic()
        self.observed.until("a message is taken", lambda: person.say() == SAID, patience)
        return time.monotonic() - began


def expect(what, wanted, found):
    if wanted != found:
        raise Failed(f"{what}: expected {wanted}, found {found}")


def redis_lost(tried):
    person = Person(tried.one)
    expect("a message", SAID, person.say())
    subprocess.run(["kill", "-KILL", str(tried.observed.pid("redis"))], check=True)
    tried.observed.release("redis")
    page = tried.until_fires("BobchatRedisAway", tried.one, tried.two)
    page.do("redis-cli -h HOST -p PORT ping", status=1, HOST="127.0.0.1", PORT=tried.observed.redis)
    expect("a message while Redis is away", BUSY, person.say())
    expect("a page asked for while Redis is away", (503, "unavailable"), person.read())
    page.says("pages that they ask for do not come")
    expect("/readyz", "ready", get(f"http://{tried.one.admin}/readyz").strip())
    # The worse of the two that the page allows.
    page.says("start it again, with its data or without")
    shutil.rmtree(tried.folder / "redis")
    tried.observed.start_redis()
    took = tried.until_said(person)
    tried.until_clears("BobchatRedisAway")
    return f"sent again {took:.1f} s after Redis was there, empty"


@contextlib.contextmanager
def bursts(pid, stopped, running):
    """A process that stands still most of the time."""
    over = threading.Event()

    def stop_and_go():
        while not over.is_set():
            subprocess.run(["kill", "-STOP", str(pid)])
            over.wait(stopped)
            subprocess.run(["kill", "-CONT", str(pid)])
            over.wait(running)

    thread = threading.Thread(target=stop_and_go)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def cassandra_slow(tried):
    person, pid = Person(tried.one), tried.observed.pid("cassandra")
    slow_before = "before, too: this machine is slow; " if tried.firing("BobchatCassandraSlow") else ""
    with bursts(pid, 2.5, 0.3):
        page = tried.until_fires("BobchatCassandraSlow", tried.one, tried.two, which=any)
        page.says("Messages stay fast meanwhile")
        expect("a message while Cassandra is slow", SAID, person.say())
        # Not by the alert, which looks back to when Redis was away.
        recent = "histogram_quantile(0.99, sum by (instance, le) (rate(bobchat_append_seconds_bucket[10s])))"
        slowest = tried.observed.until("appends are fast while Cassandra is slow", lambda: [
            longest for longest in [max(tried.of_cluster.figures(recent), default=9)] if longest < 1])[0]
    # It gets worse, as far as the next page.
    with bursts(pid, 120, 0):
        page = tried.until_fires("BobchatArchiveLags", tried.one, tried.two, which=any)
        nodes = page.do("bobchat nodes", tried.one)
        # Of people who are connected: over REST each request is a sign-in, which Cassandra has to be read for.
        taken = lambda: sum(tried.of_cluster.figures("bobchat_messages_acknowledged_total"))
        before = taken()
        tried.observed.until("messages are taken while nothing is stored", lambda: taken() > before, 30)
    page.says("what waits is stored within seconds once it answers")
    tried.observed.until("what waited is stored", lambda: not tried.firing("BobchatArchiveLags"), 30)
    lag = re.findall(r"\d+ ms", nodes)
    return f"{slow_before}p99 of appends {slowest:.3f} s while Cassandra was slow; ARCHIVE LAG while it was away: {', '.join(lag)}"


def disk_full(tried):
    person, pid = Person(tried.small), tried.observed.pid("small")
    expect("a message", SAID, person.say())
    backups = tried.small.data / "backup-2025-01-01.redb"
    # Unbuffered: closing writes nothing more.
    with open(backups, "wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(1 << 16))
    page = tried.until_fires("BobchatStoreFull", tried.small)
    used = page.do("df FOLDER", FOLDER=tried.small.data).split()
    expect("a message on a full disk", BUSY, person.say())
    expect("what was said, read on a full disk", (200, None), person.read())
    expect("/readyz", "ready", get(f"http://{tried.small.admin}/readyz").strip())
    page.says("make room: old backups first. The server goes on by itself within seconds, without a restart.")
    backups.unlink()
    took = tried.until_said(person)
    expect("the process", pid, tried.observed.pid("small"))
    return f"{next(word for word in used if word.endswith('%') and word[0].isdigit())} full; sent again after {took:.1f} s"


def hot_room(tried):
    figure = lambda name: sum(tried.of_small.figures(f"{name}_total"))
    tried.observed.hold("flood", [
        tried.observed.harness, "run", "throughput", "--target", f"http://{tried.small.public}", "--rooms", "1",
        "--members", "12", "--window", "600", "--set", "receivers=1", "--seconds", "600",
    ])
    page = tried.until_fires("BobchatRoomOverloaded", tried.small)
    page.do("bobchat config set limits.sends_per_second=5 limits.sends_burst=10", tried.small)
    person = Person(tried.small)
    # So many that it is too fast also where the room is still slow.
    answers = tried.observed.until("somebody is slowed", lambda: [
        said for said in [person.say_at_once(100)] if (429, "rate_limited") in said], 30)[0]
    # What had its place before is answered or given up by then.
    time.sleep(10)
    full = figure("bobchat_room_queue_full")
    time.sleep(4)
    expect("requests that the room refuses", full, figure("bobchat_room_queue_full"))
    page.do("bobchat config rollback", tried.small)
    expect("a message after it", SAID, person.say())
    tried.observed.release("flood")
    return f"{full:.0f} requests refused, and none once people were slowed: of 100 messages at once {answers.count(SAID)} were taken"


def storm(tried):
    """The last: it takes people who were there five minutes before. That all of them have one address is said at their start."""
    left = BEFORE_SECONDS + 10 - (time.monotonic() - tried.crowded)
    if left > 0:
        print(f"{left:.0f} s until people have been there for long enough", flush=True)
        time.sleep(left)
    tried.until_there("crowd", CROWD)
    tried.way.cut()
    page = tried.until_fires("BobchatConnectionsLost")
    tried.way.mend()
    page.says("a storm of them needs nothing done")
    began = time.monotonic()
    tried.until_there("crowd", CROWD)
    took = time.monotonic() - began
    tried.until_clears("BobchatConnectionsLost")
    refused = sum(tried.of_small.figures("bobchat_connections_refused_total"))
    return f"{CROWD} were back {took:.1f} s after they could come; {refused:.0f} attempts refused"


def bad_deploy(tried):
    """Three of them, at one node of two: a wrong value, a wrong address, a program that does not run."""
    page, person, told = Page(tried, "A bad deploy"), Person(tried.one), []
    two, log = tried.two, tried.folder / "two.log"

    def deploy(**new):
        """As a rollout does it with its first node; gives the process."""
        tried.observed.release("two")
        two.start(**new)
        return tried.observed.started.pop("two")

    def roll_back(deployed):
        page.says("Give that node back the configuration and the program that it had, and start it")
        end(deployed, 10)
        two.start()
        two.until_ready()
        tried.until_clears("BobchatNodeDown")
        tried.until_clears("BobchatNodesDisagree")
        nodes = page.do("bobchat nodes", two)
        expect("nodes that answer", 3, len(nodes.strip().splitlines()))

    wrong = {"BOBCHAT__LIMITS__SENDS_BURST": "0"}
    deployed = deploy(environment=wrong)
    tried.until_fires("BobchatNodeDown", two)
    page.says("2: the configuration")
    expect("the exit code with a wrong value", 2, deployed.wait(10))
    expect("a message at the other node", SAID, person.say())
    named = "limits.sends_burst = "
    if named not in log.read_text().splitlines()[-1]:
        raise Failed(f"the log does not end with {named}")
    if named not in page.do("bobchat check", two, status=2, more=wrong):
        raise Failed(f"bobchat check does not say {named}")
    roll_back(deployed)

    deployed = deploy(environment={"BOBCHAT__REDIS__URL": "redis://127.0.0.1:1"})
    tried.until_fires("BobchatNodesDisagree", tried.one)
    # Before it listens nobody answers.
    waits = tried.observed.until("it is said what the node waits for", lambda: [
        said for said in [page.do("bobchat ready", two, status=1)] if "waiting for Redis" in said])[0]
    expect("a message at the other node", SAID, person.say())
    roll_back(deployed)

    deployed = deploy(server="/bin/false")
    tried.until_fires("BobchatNodeDown", two)
    expect("the exit code of another program", 1, deployed.wait(10))
    expect("a message at the other node", SAID, person.say())
    roll_back(deployed)
    return f"a value refused, an address waited for ({waits.strip()}), a program that ends: rolled back"


SITUATIONS = [redis_lost, bad_deploy, disk_full, hot_room, cassandra_slow, storm]
tried_on = {}


def prepare(observed):
    tried_on[observed] = Tried(observed)


def check(observed):
    tried = tried_on[observed]
    # What only loads would not outlive what comes now, and says so.
    for name in ("mix-cluster", "mix-alone"):
        observed.release(name)
    for situation in SITUATIONS:
        began = time.monotonic()
        told = situation(tried)
        print(f"{situation.__name__.replace('_', ' ')} ({time.monotonic() - began:.0f} s): {told}", flush=True)
    for name in ("people", "crowd"):
        tried.judge(name)
    told = observed.prometheus.asked("/api/v1/query", query="bobchat_canary_broken_promises_total > 0")["result"]
    broken = {found["metric"]["promise"] for found in told}
    Page(tried, "BobchatCanaryPromise").says("`reset` after a restored backup, or after Redis came back without its data, nothing")
    if broken - {"reset"}:
        raise Failed(f"the canary saw promises broken: {broken}")
    print(f"canary: {', '.join(sorted(broken)) or 'no promise'} broken, as its page says of a Redis that lost its data", flush=True)
