"""Where webhooks may go, by the scheme of an endpoint's URL.

::

    dispatch      sends each message to the target of its URL
    target_kinds  every kind of target: its schemes, how its URLs are judged, how it is reached
    target_port   what a kind consists of: implement this to add one
    urls          the options in URLs of queues: exchange and routing key, stream and length
    kept_lines    what all queues share: open connections, deadlines, durations, error words
     ├► amqp           the exchange of an AMQP broker
     └► redis_streams  a stream of a Redis server
    dialling      a checked, pinned, encrypted stream to a host
streams       that stream, with limits on what the peer may send

What is sent is the same everywhere: the body of the event, and the headers that sign it.
"""
