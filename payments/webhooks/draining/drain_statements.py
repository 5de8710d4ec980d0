"""The statements of a drain, in SQL: each is one statement, and reads better as such."""

from sqlalchemy import Boolean, literal_column, text

# Whether anything is due at the endpoint `%s`. Two probes, as replays have their own part of the
# index; a single one would look costlier to the planner than another index.
_IS_DUE = """
    (SELECT true FROM (VALUES (false), (true)) AS kind (is_replay)
     CROSS JOIN LATERAL (
         SELECT FROM deliveries d
         WHERE d.endpoint_id = %s.id AND d.state = 'pending' AND d.is_replay = kind.is_replay
           AND d.next_attempt_at <= now()
         LIMIT 1) due
     LIMIT 1)
"""

# No statement waits for a locked endpoint: the others would wait with it. A skipped endpoint is
# asked for again, alone (`together`), and then its lock is waited for.
_SKIPPING = "SKIP LOCKED"

# Whether the row `w` of an endpoint is for the drainer `a`: one that begins needs a free endpoint
# with something due; any other must hold its lease.
_IS_FOR_A = f"""
    CASE WHEN a.begins
         THEN w.state = 'enabled'
              AND (w.held_back_until IS NULL OR w.held_back_until <= now())
              AND (w.drain_token IS NULL OR w.drain_token = a.token OR w.drain_expires_at < now())
              AND {_IS_DUE % "w"}
         ELSE w.drain_token = a.token END
"""

# Many endpoints are recorded and claimed for at once, each as if it were alone.
#
# The lock on an endpoint's row is the fence: if the token is another's, no row is found, nor
# anything below it; and no drainer can take over until this is committed.
#
# However many deliveries wait, a batch reads only those it takes. Nothing here may look as if
# reading all of them were cheap, not even to a planner whose statistics are from before an outage:
# records and numbers find their deliveries by primary key alone, from lists that look short; the
# order is the index's own, the limit is hidden; and what else there is of an object is asked for as
# `finished_at IS NULL`, not as pending, so that no plan looks for it among all that is due.
#
# What may change during a post: a deleted endpoint gets no second try, and a delivery that is
# replayed stays due, as the failed answer belongs to an earlier post.
#
# A delivery gets its number when it is first claimed, and both are committed before it is posted.
# The rows are locked before they are counted: if this statement waited for one of the same drainer
# whose answer got lost, it began before that one assigned its numbers, and doesn't see them.
#
# The order of one object: what is due but behind an earlier event of its object is set aside, with
# `waits_for`, so that however many wait, none is read with every batch. When the first one is
# finished, or waits for more than a minute at a `relaxed` endpoint (`passed`), the next of its
# object is due at once. At a `relaxed` endpoint only the nearest sixteen are checked, nothing waits
# for longer than a minute, and new deliveries don't wait for replays; at a `strict` one, the wait
# is checked every hour, in case the row it waits for was finished in another way.
#
# The first row of each endpoint holds its present settings, and each row a claimed delivery, if
# there is any. Replays are searched separately, so that not even a million of them delay new
# deliveries.
_NEXT_BATCHES = f"""
    WITH asked AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(:asked AS json)) AS a (
            endpoint_id text, token uuid, begins boolean, wanted bigint, wanted_replays bigint,
            held bigint[], releasing boolean, places bigint, next_post_in_s float, traced boolean,
            is_listening boolean)
    ), known AS MATERIALIZED (
        SELECT w.id, w.ctid AS version
        FROM asked a JOIN webhook_endpoints w ON w.id = a.endpoint_id AND a.begins
    ), locked AS MATERIALIZED (
        SELECT w.id, w.ctid AS version, a.token, a.begins,
               url, url_credentials, header_names, header_values, max_in_flight, rate_limit,
               retry_schedule, state, last_sequence, ordered = 'strict' AS is_strict, back_offs,
               held_back_until > now() IS TRUE AS is_held_back,
               coalesce(counted_since, failing_since) IS NOT NULL OR back_offs > 0 AS is_watched,
               CAST(greatest(0, coalesce(a.next_post_in_s,
                                         extract(epoch FROM next_post_at - now()))) AS float)
                   AS next_post_in_s,
               CASE WHEN older_secrets_until > now() THEN secrets
                    ELSE secrets[1:1] END AS secrets,
               a.wanted, a.wanted_replays, a.held, a.releasing, a.places,
               a.next_post_in_s AS then_post_in_s, a.is_listening
        FROM asked a JOIN webhook_endpoints w ON w.id = a.endpoint_id AND {_IS_FOR_A}
        ORDER BY w.id
        FOR NO KEY UPDATE OF w %s
    ), e AS MATERIALIZED (
        SELECT * FROM locked l
        WHERE NOT l.begins
           OR EXISTS (SELECT FROM known k WHERE k.id = l.id AND k.version = l.version)
    ), records AS (
        SELECT * FROM json_to_recordset(CAST(:records AS json)) AS r (
            endpoint_id text, delivery_id bigint, number integer, state text, retry_in_s float,
            started_ago_s float, duration_ms integer, status_code integer, error text,
            remote_ip text, response_body text, attempts_before integer, trigger text,
            dns_ms integer, connect_ms integer, tls_ms integer, first_byte_ms integer,
            response_headers jsonb)
    ), went AS (
        SELECT r.endpoint_id,
               coalesce(array_agg(CASE r.state WHEN 'delivered' THEN r.duration_ms
                                  ELSE -1 - r.duration_ms END ORDER BY r.started_ago_s),
                        '{{}}') AS recent_ms,
               CASE WHEN bool_or(r.state = 'delivered') THEN now() END AS succeeded_at
        FROM records r GROUP BY r.endpoint_id
    ), moved AS (
        UPDATE deliveries d
        SET state = CASE WHEN r.state = 'delivered' THEN 'delivered'
                         WHEN e.state = 'deleted' THEN 'exhausted'
                         WHEN d.attempts_before > r.attempts_before THEN 'pending'
                         ELSE r.state END,
            attempts = r.number,
            trigger = CASE WHEN d.attempts_before > r.attempts_before THEN d.trigger END,
            waits_for = NULL,
            next_attempt_at =
                CASE WHEN r.state = 'delivered' OR e.state = 'deleted' THEN NULL
                     WHEN d.attempts_before > r.attempts_before THEN d.next_attempt_at
                     ELSE now() + r.retry_in_s * interval '1 second' END,
            finished_at =
                CASE WHEN r.state = 'delivered' OR e.state = 'deleted' THEN now()
                     WHEN d.attempts_before > r.attempts_before OR r.state = 'pending' THEN NULL
                     ELSE now() END
        FROM e, records r
        WHERE r.endpoint_id = e.id AND d.id = r.delivery_id AND d.attempts = r.number - 1
        RETURNING e.id AS endpoint_id, d.id, d.object_id, d.object_sequence, d.state,
                  d.next_attempt_at
    ), kept AS (
        INSERT INTO delivery_attempts (delivery_id, number, started_at, duration_ms,
                                       status_code, error, remote_ip, response_body, trigger,
                                       dns_ms, connect_ms, tls_ms, first_byte_ms,
                                       response_headers)
        SELECT r.delivery_id, r.number, now() - r.started_ago_s * interval '1 second',
               r.duration_ms, r.status_code, r.error, r.remote_ip, r.response_body, r.trigger,
               r.dns_ms, r.connect_ms, r.tls_ms, r.first_byte_ms, r.response_headers
        FROM records r JOIN moved ON moved.id = r.delivery_id
    ), passed AS MATERIALIZED (
        SELECT moved.endpoint_id, moved.id, moved.object_id, moved.object_sequence
        FROM moved JOIN e ON e.id = moved.endpoint_id
        WHERE moved.state <> 'pending'
           OR NOT e.is_strict AND moved.next_attempt_at > now() + interval '1 minute'
    ), looked_at AS MATERIALIZED (
        SELECT e.id AS endpoint_id, e.last_sequence, e.is_strict, found.*, (
            SELECT near.id FROM (
                SELECT b.id, b.waits_for, b.next_attempt_at FROM deliveries b
                WHERE b.endpoint_id = e.id AND b.finished_at IS NULL
                  AND b.object_id = found.object_id AND b.object_sequence < found.object_sequence
                  AND (e.is_strict OR found.is_replay OR NOT b.is_replay)
                  AND b.id <> ALL (ARRAY(SELECT id FROM passed))
                ORDER BY b.object_sequence DESC
                LIMIT 16
            ) near
            WHERE e.is_strict
               OR found.created_at > now() - interval '1 minute'
                  AND (near.waits_for IS NOT NULL
                       OR near.next_attempt_at <= now() + interval '1 minute')
            LIMIT 1
        ) AS behind
        FROM e
        CROSS JOIN LATERAL (VALUES (false, e.wanted), (true, e.wanted_replays))
                           AS kind (is_replay, wanted)
        CROSS JOIN LATERAL (
            SELECT d.id, d.attempts, d.attempts_before, d.event_id, d.next_attempt_at, d.sequence,
                   d.waits_for, d.is_replay, d.object_id, d.object_sequence, d.created_at,
                   coalesce(d.trigger, 'scheduled') AS trigger
            FROM deliveries d
            WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.is_replay = kind.is_replay
              AND d.next_attempt_at <= now()
              AND e.state = 'enabled' AND NOT e.is_held_back
              AND d.id <> ALL (e.held)
            ORDER BY d.next_attempt_at
            LIMIT kind.wanted
            FOR NO KEY UPDATE OF d
        ) found
    ), due AS (
        SELECT * FROM looked_at WHERE behind IS NULL
    ), fresh AS MATERIALIZED (
        SELECT id, coalesce(sequence, last_sequence + row_number() OVER (
            PARTITION BY endpoint_id
            ORDER BY sequence IS NOT NULL, is_replay, next_attempt_at, id)) AS sequence
        FROM due WHERE sequence IS NULL OR waits_for IS NOT NULL
    ), numbered AS (
        UPDATE deliveries d SET sequence = f.sequence, waits_for = NULL
        FROM unnest(ARRAY(SELECT id FROM fresh ORDER BY id),
                    ARRAY(SELECT sequence FROM fresh ORDER BY id)) AS f (id, sequence)
        WHERE d.id = f.id
    ), behind AS MATERIALIZED (
        SELECT id, behind, is_strict FROM looked_at WHERE behind IS NOT NULL
    ), waiting AS (
        UPDATE deliveries d
        SET waits_for = l.behind,
            next_attempt_at = CASE WHEN l.is_strict THEN now() + interval '1 hour'
                                   ELSE d.created_at + interval '1 minute' END
        FROM unnest(ARRAY(SELECT id FROM behind ORDER BY id),
                    ARRAY(SELECT behind FROM behind ORDER BY id),
                    ARRAY(SELECT is_strict FROM behind ORDER BY id)) AS l (id, behind, is_strict)
        WHERE d.id = l.id
    ), let_pass AS (
        UPDATE deliveries d SET waits_for = NULL, next_attempt_at = now()
        FROM unnest(ARRAY(
            SELECT DISTINCT next.id FROM passed p CROSS JOIN LATERAL (
                SELECT n.id FROM deliveries n
                WHERE n.endpoint_id = p.endpoint_id AND n.finished_at IS NULL
                  AND n.object_id = p.object_id AND n.object_sequence > p.object_sequence
                  AND n.waits_for IS NOT NULL
                  AND n.id <> ALL (ARRAY(SELECT id FROM looked_at))
                ORDER BY n.object_sequence
                LIMIT 1
            ) next
        )) AS l (id)
        WHERE d.id = l.id
        RETURNING d.endpoint_id
    ), claimed AS MATERIALIZED (
        SELECT due.endpoint_id, due.id, due.attempts, due.attempts_before, due.event_id,
               due.trigger, due.is_replay, coalesce(due.sequence, fresh.sequence) AS sequence,
               row_number() OVER (
                   PARTITION BY due.endpoint_id
                   ORDER BY due.is_replay, due.next_attempt_at,
                            coalesce(due.sequence, fresh.sequence)) AS place
        FROM due LEFT JOIN fresh ON fresh.id = due.id
    ), seen AS MATERIALIZED (
        SELECT e.id,
               (SELECT count(*) FROM moved WHERE moved.endpoint_id = e.id) AS recorded,
               EXISTS (SELECT FROM let_pass WHERE let_pass.endpoint_id = e.id) AS has_let_pass,
               count(l.id) FILTER (WHERE NOT l.is_replay) AS looked_at,
               count(l.id) FILTER (WHERE l.is_replay) AS looked_at_replays,
               count(l.id) FILTER (WHERE l.behind IS NULL) AS due,
               count(l.id) FILTER (WHERE l.behind IS NULL AND l.sequence IS NULL) AS unnumbered
        FROM e LEFT JOIN looked_at l ON l.endpoint_id = e.id
        GROUP BY e.id
    ), renewed AS (
        UPDATE webhook_endpoints w
        SET drain_token = CASE WHEN NOT e.releasing THEN e.token END,
            drain_expires_at =
                CASE WHEN NOT e.releasing THEN now() + :lease_s * interval '1 second' END,
            woken_at = CASE WHEN NOT e.begins THEN w.woken_at END,
            next_post_at =
                coalesce(now() + e.then_post_in_s * interval '1 second', w.next_post_at),
            last_sequence = w.last_sequence + seen.unnumbered,
            drain_is_full = NOT e.releasing AND seen.due >= e.places,
            drain_is_listening = NOT e.releasing AND e.is_listening,
            recent_ms = (coalesce(went.recent_ms, '{{}}') || w.recent_ms)[1:100],
            last_success_at = coalesce(went.succeeded_at, w.last_success_at)
        FROM e JOIN seen ON seen.id = e.id LEFT JOIN went ON went.endpoint_id = e.id
        WHERE w.id = e.id
    )
    SELECT a.endpoint_id, e.id IS NOT NULL AS is_ours, {_IS_FOR_A} AS was_ours,
           e.id IS NULL AND EXISTS (SELECT FROM locked l WHERE l.id = a.endpoint_id)
               AS has_changed,
           e.url, e.url_credentials, e.secrets, e.header_names, e.header_values, e.max_in_flight,
           e.rate_limit, e.retry_schedule, e.next_post_in_s, e.state = 'enabled' AS is_enabled,
           e.is_held_back, e.is_watched, e.back_offs,
           seen.recorded, seen.has_let_pass, seen.looked_at, seen.looked_at_replays,
           claimed.id AS delivery_id, claimed.attempts, claimed.attempts_before,
           claimed.event_id, claimed.trigger, events.body, claimed.is_replay, claimed.sequence,
           extract(epoch FROM now() - events.created_at)::float AS age_s,
           w.trace_context = 'forward' AS is_forwarding,
           CASE WHEN a.traced OR w.trace_context = 'forward' THEN coalesce(
               (SELECT c.traceparent FROM charges c WHERE c.id = events.object_id),
               (SELECT r.traceparent FROM refunds r WHERE r.id = events.object_id)) END
               AS traceparent
    FROM asked a
    LEFT JOIN webhook_endpoints w ON w.id = a.endpoint_id
    LEFT JOIN claimed ON claimed.endpoint_id = a.endpoint_id
    LEFT JOIN e ON e.id = a.endpoint_id AND coalesce(claimed.place, 1) = 1
    LEFT JOIN seen ON seen.id = e.id
    LEFT JOIN events ON events.id = claimed.event_id
    ORDER BY a.endpoint_id, claimed.place
"""  # noqa: S608  # no part of it is given

NEXT_BATCHES = {False: text(_NEXT_BATCHES % _SKIPPING), True: text(_NEXT_BATCHES % "")}

ARE_DUE = text(f"""
    SELECT e.id FROM webhook_endpoints e
    WHERE e.id = ANY ((SELECT CAST(:ids AS text[]))::text[]) AND e.state = 'enabled'
      AND (e.held_back_until IS NULL OR e.held_back_until <= now())
      AND {_IS_DUE % "e"}
""")  # noqa: S608  # no part of it is given

_WITHOUT_DRAINER = f"""
    SELECT e.id FROM webhook_endpoints e
    WHERE e.state = 'enabled'
      AND (e.held_back_until IS NULL OR e.held_back_until <= now())
      AND (e.drain_expires_at IS NULL OR e.drain_expires_at < now())
      AND (e.woken_at IS NULL OR e.woken_at < now() - interval '1 second')
      AND {_IS_DUE % "e"}
"""  # noqa: S608  # no part of it is given
# Whether `DUE_ENDPOINTS` would find any.
ANY_DUE = literal_column(f"EXISTS ({_WITHOUT_DRAINER})", Boolean)
# SKIP LOCKED: an endpoint whose row is locked has a drainer at work, or another sweep.
DUE_ENDPOINTS = text(f"""
    WITH due AS (
        {_WITHOUT_DRAINER}
        ORDER BY e.woken_at NULLS FIRST
        LIMIT :limit
        FOR NO KEY UPDATE OF e SKIP LOCKED
    )
    UPDATE webhook_endpoints e SET woken_at = now() FROM due WHERE e.id = due.id
    RETURNING e.id
""")  # noqa: S608  # no part of it is given
