#!/bin/sh
# Makes the secrets and the data directory of one institution; does nothing where they exist.
#
# The secrets stand in a volume of their own: whoever takes the data volume alone has sealed bytes. In production put a file
# from your secret store in the place of `unlock.key`.
set -eu
umask 077

KEYS=$(dirname "$CONCORDAT_KEY_FILE")

# 32 random bytes, moved into place whole: half a secret must never be taken for one.
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
