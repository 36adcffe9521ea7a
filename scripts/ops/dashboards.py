"""Runs every query of every dashboard and of docs/operations.md, and every recorded rule, on a real Prometheus that scrapes
a real cluster and a server that is alone, all under load. Each has to return data. Grafana itself is not for here: it cannot
be had.
"""

import json
import re
import subprocess
import time
import urllib.error

from observed import ROOT, Failed

# Rates need two scrapes, quantiles something to count, and a machine with two cores its time for all of it.
PATIENCE = 150
VARIABLES = {"$job": None, "$instance": ".*", "$__rate_interval": "20s"}


def queries():
    """Each query as Grafana would send it, by where it stands."""
    for path in sorted((ROOT / "monitoring/grafana/dashboards").glob("*.json")):
        dashboard = json.loads(path.read_text())
        job = "bobchat-canary" if dashboard["uid"] == "bobchat-canary" else "bobchat"
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                text = target["expr"]
                for name, value in VARIABLES.items():
                    text = text.replace(name, value or job)
                if "$" in text:
                    raise Failed(f"{path.name}: {panel['title']}: a variable that nobody knows: {text}")
                yield f"{dashboard['title']} / {panel['title']} / {target['legendFormat']}", text


def written():
    """Those that docs/operations.md tells people to ask."""
    fences = re.findall(r"^```promql\n(.*?)^```", (ROOT / "docs/operations.md").read_text(), re.MULTILINE | re.DOTALL)
    for text in (line for fence in fences for line in fence.splitlines()):
        yield f"docs/operations.md / {text}", text


def recorded(observed):
    """What the recorded rules come to, by their names."""
    groups = observed.prometheus.asked("/api/v1/rules", type="record")["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        yield f"recorded rule {rule['name']}", rule["name"]


def has_data(observed, name, text):
    try:
        return bool(observed.prometheus.figures(text))
    except urllib.error.HTTPError as error:
        raise Failed(f"{name}: Prometheus refuses it: {error.read().decode()}") from error


def check(observed):
    subprocess.run([ROOT / "monitoring/grafana/generate", "--check"], check=True)
    asked_for = dict(queries())
    asked_for |= dict(recorded(observed)) | dict(written())
    if len(asked_for) < 100:
        raise Failed(f"only {len(asked_for)} queries were found")
    empty, end = asked_for, time.monotonic() + PATIENCE
    while empty and time.monotonic() < end:
        time.sleep(1)
        empty = {name: text for name, text in empty.items() if not has_data(observed, name, text)}
    if empty:
        raise Failed("no data:" + "".join(f"\n  {name}: {text}" for name, text in empty.items()))
    print(f"{len(asked_for)} queries of dashboards, rules and docs: all return data")
