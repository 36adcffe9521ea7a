"""Somebody who talks over REST, to see what people see."""

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor


class Person:
    """A guest at a node, in the room where everybody is."""

    def __init__(self, node):
        self.address, self.token, self.said = f"http://{node.public}/api/v1", None, 0
        _, answer = self.ask("/guests", {"name": "Ada"})
        self.token = answer["access_token"]

    def ask(self, path, body=None, headers=()):
        headers = {"Content-Type": "application/json", **dict(headers)}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.address + path, body and json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def say(self):
        """Says something; whether it was taken, as status and code."""
        return self.say_at_once(1)[0]

    def say_at_once(self, count):
        """Says so many things at once."""
        numbers = range(self.said, self.said + count)
        self.said += count
        with ThreadPoolExecutor(count) as threads:
            return list(threads.map(self.say_number, numbers))

    def say_number(self, number):
        status, answer = self.ask("/rooms/1/messages", {"text": f"number {number}"}, {"Idempotency-Key": f"number-{number}"})
        return status, answer.get("code")

    def read(self):
        """Reads the newest page; all that was taken has to be on it."""
        status, answer = self.ask("/rooms/1/messages")
        return status, answer.get("code")
