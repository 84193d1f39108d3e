#!/bin/sh
# Waits for the server and makes sure of the namespace, with 90 days of history: a lost model id is lost credits.
# Safe to run again. The commands find the server by TEMPORAL_ADDRESS.
set -eu

until temporal operator cluster health; do
  sleep 2
done

temporal operator namespace describe --namespace default >/dev/null 2>&1 ||
  temporal operator namespace create --namespace default --retention 90d

# The server learns of a new namespace some seconds later; until then it refuses workers and changes alike.
until temporal workflow count --namespace default >/dev/null 2>&1; do
  sleep 1
done

temporal operator namespace update --namespace default --retention 90d
