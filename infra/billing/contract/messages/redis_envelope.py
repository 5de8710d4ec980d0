"""A message as it is stored in a Redis list: kombu's envelope, made by hand.

kombu makes it with a round trip per message; like this many fit into one command.
https://docs.celeryq.dev/projects/kombu/en/stable/reference/kombu.transport.virtual.html
"""

import json
from base64 import b64encode
from uuid import uuid4

from infra.billing.contract.messages.message import Message


def envelope(message: Message) -> bytes:
    """The item of the list, as kombu reads it (kombu/transport/virtual/base.py, `Message`)."""
    return json.dumps(
        {
            "body": b64encode(message.body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": message.headers,
            "properties": {
                "correlation_id": message.id,
                "reply_to": "",
                "delivery_mode": 2,
                # The queue to which it returns when its worker dies.
                "delivery_info": {"exchange": "", "routing_key": message.queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    ).encode()
