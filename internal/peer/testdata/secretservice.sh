#!/bin/sh
# secretservice.sh DIR COMMAND...: runs a command in a D-Bus session of its own, where GNOME Keyring serves the Secret
# Service with an unlocked login keyring below DIR (Debian: gnome-keyring dbus).
set -eu
D=${1:?usage: secretservice.sh DIR COMMAND...}; shift
mkdir -p "$D/home" "$D/run" "$D/data"; chmod 700 "$D/run"
export HOME="$D/home" XDG_RUNTIME_DIR="$D/run" XDG_DATA_HOME="$D/data"
exec dbus-run-session -- sh -euc '
  printf "a password" | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>"$XDG_RUNTIME_DIR/log"
  "$@"' sh "$@"
