#!/bin/sh
# Creates and updates both databases of a Temporal server. Safe to run again.
set -eu

schema_root="${SCHEMA_ROOT:-/etc/temporal/schema}/postgresql/v12"

sql() {
  temporal-sql-tool --plugin postgres12 --ep "$SQL_HOST" -p "$SQL_PORT" -u "$SQL_USER" "$@"
}

for part in temporal visibility; do
  database=temporal
  [ "$part" = temporal ] || database=temporal_visibility
  sql --db "$database" create
  sql --db "$database" setup-schema -v 0.0
  sql --db "$database" update-schema -d "$schema_root/$part/versioned"
done
