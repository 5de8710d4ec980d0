"""Writes which shard each API key belongs to, as HAProxy reads it (haproxy.cfg, docs/scale.md):

    BILLING_DATABASE_URL=… billing keys list --json > one.json    # on each shard
    python3 deploy/shards/keys.py one.json two.json > keys.map

A file is named as its shard. Nothing is written if a producer has keys on two of them: its
idempotency keys would no longer be known wherever it asks, and a repeat could be a second charge.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    """Print a line for each key."""
    shards: dict[str, str] = {}
    lines = []
    for path in map(Path, sys.argv[1:]):
        for key in json.loads(path.read_text()):
            # The key of an operator, who uses each shard's own address; or of a deleted producer.
            is_of_operator = key["all_producers"] or "operator" in key["scopes"]
            if is_of_operator or key["revoked_at"] is not None:
                continue
            other = shards.setdefault(key["producer"], path.stem)
            if other != path.stem:
                sys.exit(
                    f"{key['producer']} has keys on {other} and on {path.stem}: a producer belongs"
                    " to one shard, for ever; revoke those where it has no charges"
                )
            lines.append(f"{key['id'].removeprefix('key_')} {path.stem}\n")
    sys.stdout.write("".join(sorted(lines)))


if __name__ == "__main__":
    main()
