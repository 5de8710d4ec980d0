#!/bin/sh
# `billing` for an operator, as root, with the settings of the units: `billing doctor`.
#
#   install deploy/systemd/billing.sh /usr/local/sbin/billing
set -eu
# As systemd reads it: `NAME=value` in each line, literally.
environment() {
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            [A-Z]*=\"*\") value=${line#*=\"} && export "${line%%=*}=${value%\"}" ;;
            [A-Z]*=*) export "$line" ;;
        esac
    done
}
[ ! -f /etc/billing/environment ] || environment < /etc/billing/environment
export BILLING_DATABASE_URL_FILE=/etc/billing/database-url
export BILLING_DATABASE_DIRECT_URL_FILE=/etc/billing/database-direct-url
export BILLING_BROKER_URL_FILE=/etc/billing/broker-url
export BILLING_ENCRYPTION_KEYS_FILE=/etc/billing/encryption-keys
export BILLING_DATA_DIR=/var/lib/billing
exec /srv/billing/.venv/bin/billing "$@"
