#!/bin/sh
# Makes deploy/secrets: passwords nobody has seen, and what holds them, a file for each secret. Run it
# once; what is there already is kept, so it may be run again. Keep a copy of encryption-keys apart
# from the backups of the database: without it the secrets of webhooks in them can't be read.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

# Letters and digits only, so that it can stand in a URL as it is.
word() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # keep FILE TEXT: write it, unless it is there
    [ -s "$1" ] || printf '%s\n' "$2" > "$1"
    # The folder is closed to others on this machine; in a container the file is read by another user.
    chmod 0644 "$1"
}

keep owner-password "$(word 24)"
keep service-password "$(word 24)"
keep broker-password "$(word 24)"
keep grafana-password "$(word 12)"
owner=$(cat owner-password) service=$(cat service-password) broker=$(cat broker-password)

# 32 random bytes in URL-safe base64, as `billing keys encryption` makes them.
key() { printf 'bek_'; head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }
keep encryption-keys "$(key)"

# Migrations go as the owner of the tables; the service's own role may not change history.
keep database-direct-url "postgresql://billing_owner:$owner@postgres:5432/billing"
keep database-url "postgresql://billing:$service@postgres:5432/billing"
keep database-url-pgbouncer "postgresql://billing:$service@pgbouncer:6432/billing"
keep pgbouncer-users "\"billing\" \"$service\""

keep broker-url "redis://:$broker@redis:6379/0"
keep redis.conf "requirepass $broker
appendonly yes
maxmemory-policy noeviction
dir /data"
keep broker-url-rabbitmq "amqp://billing:$broker@rabbitmq:5672//"
keep rabbitmq.conf "default_user = billing
default_pass = $broker
loopback_users.guest = true"
chmod 0700 .
