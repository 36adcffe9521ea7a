"""Follows a message through real tools: from a point of a histogram in Prometheus to its trace in Jaeger, there from the
sender's frame at one node to the write to the receiver at the other, and from a line of the log to its trace. Holds the
recipes for the log's collectors to such lines; the collectors themselves cannot be had.
"""

import json
import time

import yaml

from observed import ROOT, Failed, asked

# The stages in their order, at the node that takes a message and at the one that delivers it.
HERE = ["session.frame", "room.append", "redis.append"]
THERE = ["backplane.heard", "room.fan_out", "hub.write"]
# Histograms that show traces.
TRACED = ["bobchat_request_seconds", "bobchat_append_seconds", "bobchat_publish_seconds", "bobchat_write_seconds",
          "bobchat_archive_lag_seconds", "bobchat_http_request_seconds"]


def exemplars(observed, metric):
    """The traces that a histogram shows."""
    now = time.time()
    answer = observed.prometheus.asked("/api/v1/query_exemplars", query=f"{metric}_bucket", start=now - 600, end=now)
    return {found["labels"]["trace_id"] for series in answer for found in series["exemplars"]}


def nodes_of(trace):
    """Which spans each node has in a trace."""
    names = {
        key: next((tag["value"] for tag in process["tags"] if tag["key"] == "service.instance.id"), "alone")
        for key, process in trace["processes"].items()
    }
    spans = {}
    for span in trace["spans"]:
        spans.setdefault(names[span["processID"]], set()).add(span["operationName"])
    return spans


def is_whole(trace):
    """Whether it goes from one node's sender to the other node's receiver."""
    spans = nodes_of(trace)
    return any(
        set(HERE) <= here and set(THERE) <= there
        for one, here in spans.items() for two, there in spans.items() if one != two
    )


def in_jaeger(observed, ids):
    """One of these traces that Jaeger has."""
    for trace in sorted(ids):
        try:
            found = asked(observed.jaeger_url(), f"/api/traces/{trace}")["data"]
        except OSError:
            continue
        if found:
            return found[0]
    return None


def fields_of_recipes():
    """What the recipes for Fluent Bit and Filebeat call the fields of a line."""
    bit, beat = (yaml.safe_load((ROOT / f"monitoring/logs/{name}.yaml").read_text()) for name in ("fluent-bit", "filebeat"))
    filters = {found["name"]: found for found in bit["pipeline"]["filters"]}
    yield bit["parsers"][0]["time_key"]
    yield filters["modify"]["rename"].split()[0]
    yield filters["grep"]["exclude"].split()[0]
    processors = {name: found for one in beat["processors"] for name, found in one.items()}
    yield processors["timestamp"]["field"]
    # Only lines about a failure say `error`, and those have no trace.
    yield from (field["from"] for field in processors["rename"]["fields"] if field["from"] != "error")
    yield from processors["drop_fields"]["fields"]


def traced_line(observed):
    """A line of a node's log that says its trace."""
    for line in (observed.folder / "one.log").read_text().splitlines():
        if line.startswith("{") and "trace.id" in (found := json.loads(line)):
            return found
    return None


def check(observed):
    for metric in TRACED:
        # A span comes to Jaeger some seconds after its end.
        found = observed.until(f"a trace of {metric} is in Jaeger", lambda: in_jaeger(observed, exemplars(observed, metric)))
        print(f"{metric}: trace {found['traceID']}, {len(found['spans'])} spans")
    traces = lambda: asked(observed.jaeger_url(), "/api/traces", service="bobchat", limit=500,
                           operation="backplane.heard")["data"]
    whole = observed.until("a trace of two nodes", lambda: next(filter(is_whole, traces()), None))
    line = observed.until("a line of the log with a trace", lambda: traced_line(observed))
    if missing := set(fields_of_recipes()) - line.keys():
        raise Failed(f"the recipes for logs name {missing}, a line has {sorted(line)}")
    observed.until("the trace of that line is in Jaeger", lambda: in_jaeger(observed, {line["trace.id"]}))
    print(f"log: {json.dumps(line)[:200]}")
    for node, spans in sorted(nodes_of(whole).items()):
        print(f"trace {whole['traceID']}, node {node}: {', '.join(sorted(spans))}")
