"""Judges what Autobahn found: one line for each run, and one for each case that is not strictly as it should be.

    judge.py NAME=REPORTS=CASES[=NOT-STRICT,...] ...

Fails when a case failed, closed wrongly, was not run, or was not strict without being named.
"""

import collections
import json
import sys

# What passes: informational cases have no right answer.
FINE = {"OK", "INFORMATIONAL"}


def judge(name, folder, lenient, expected):
    with open(f"{folder}/index.json") as file:
        (cases,) = json.load(file).values()
    counts = collections.Counter(case["behavior"] for case in cases.values())
    closes = collections.Counter(case["behaviorClose"] for case in cases.values())
    wrong = len(cases) != expected
    for number, case in cases.items():
        verdict = {case["behavior"], case["behaviorClose"]} - FINE
        if verdict:
            allowed = verdict == {"NON-STRICT"} and number in lenient
            wrong |= not allowed
            print(f"  {number}: {case['behavior']}, close {case['behaviorClose']}{' (known)' if allowed else ''}")
    said = ", ".join(f"{count} {what}" for what, count in counts.most_common())
    closed = ", ".join(f"{count} {what}" for what, count in closes.most_common())
    print(f"{name}: {len(cases)} of {expected} cases: {said}; closes: {closed}")
    return wrong


def main(arguments):
    failed = False
    for argument in arguments:
        name, folder, expected, lenient = (argument.split("=") + [""])[:4]
        failed |= judge(name, folder, set(lenient.split(",")), int(expected))
    return failed


sys.exit(main(sys.argv[1:]))
