#!/bin/sh
# Creates the secrets and the data directory of one institution; does nothing if they exist.
#
# The secrets are in a separate volume: the data volume alone contains only encrypted bytes. In production put a file
# from your secret store in place of `unlock.key`.
set -eu
umask 077

KEYS=$(dirname "$CONCORDAT_KEY_FILE")

# 32 random bytes, moved into place when complete: a partial secret must never be used.
secret() {
  [ -s "$KEYS/$1" ] && return
  head -c 32 /dev/urandom | base64 > "$KEYS/.$1"
  mv "$KEYS/.$1" "$KEYS/$1"
}

secret "$(basename "$CONCORDAT_KEY_FILE")"
secret administrator.password
secret people.password

if [ ! -e "$CONCORDAT_DIR/concordat.toml" ]; then
  concordat init --institution "$INSTITUTION" --name "$NAME" --jurisdiction "$JURISDICTION" --address "$ADDRESS" \
    --port "${PORT:-7400}" --dial "${DIAL:-public}" --unattended < "$KEYS/administrator.password"
fi
