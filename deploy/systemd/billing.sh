#!/bin/sh
# `billing` for an operator, as root, with the settings of the units: `billing doctor`.
#
#   install deploy/systemd/billing.sh /usr/local/sbin/billing
set -eu
if [ -f /etc/billing/environment ]; then
    set -a
    . /etc/billing/environment
    set +a
fi
export BILLING_DATABASE_URL_FILE=/etc/billing/database-url
export BILLING_DATABASE_DIRECT_URL_FILE=/etc/billing/database-direct-url
export BILLING_BROKER_URL_FILE=/etc/billing/broker-url
export BILLING_ENCRYPTION_KEYS_FILE=/etc/billing/encryption-keys
export BILLING_DATA_DIR=/var/lib/billing
exec /srv/billing/.venv/bin/billing "$@"
