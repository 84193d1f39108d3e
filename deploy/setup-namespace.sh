#!/bin/sh
# Waits for the server and makes sure of the namespace, with 90 days of history: a lost model id is lost credits.
set -eu

until temporal operator cluster health --address "$TEMPORAL_ADDRESS"; do
  sleep 2
done

if temporal operator namespace describe --namespace default --address "$TEMPORAL_ADDRESS" >/dev/null 2>&1; then
  temporal operator namespace update --namespace default --retention 90d --address "$TEMPORAL_ADDRESS"
else
  temporal operator namespace create --namespace default --retention 90d --address "$TEMPORAL_ADDRESS"
fi
