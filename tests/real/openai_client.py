"""Asks an OpenAI-compatible server as an application would: openai_client.py BASE_URL REQUESTS.

REQUESTS is a JSON list of {"id", "api": "chat" | "completions", "body"}. Prints, for each, one JSON line:
the usage and finish reason that the server reported, and the number of chunks with generated text.
"""

import json
import sys

import openai

base_url, requests = sys.argv[1], json.loads(sys.argv[2])
client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)


def text(choice):
    """The generated text of a streamed or whole choice, chat or legacy."""
    for part in (getattr(choice, "delta", None), getattr(choice, "message", None)):
        if part is not None:
            return part.content or ""
    return choice.text or ""


for request in requests:
    api = client.chat.completions if request["api"] == "chat" else client.completions
    answer = api.create(**request["body"], extra_headers={"x-sim-id": request["id"]})
    chunks = answer if request["body"].get("stream") else [answer]
    seen = {"id": request["id"], "chunks": 0, "usage": None, "finish_reason": None}
    for chunk in chunks:
        if chunk.usage is not None:
            seen["usage"] = chunk.usage.model_dump()
        for choice in chunk.choices:
            seen["chunks"] += bool(text(choice))
            seen["finish_reason"] = choice.finish_reason or seen["finish_reason"]
    print(json.dumps(seen), flush=True)
