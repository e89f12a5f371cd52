#!/usr/bin/env bash
# Takes the gateway off this machine: sudo systemd/uninstall.sh [--purge]
# Configuration and state (keys, queue, audit log) stay, unless --purge says that they go too. Can be run again.
# With DESTDIR=/somewhere only what is below that directory goes, and no service is touched.
set -euo pipefail
root=${DESTDIR:-}
purge=
case ${1:-} in
  "") ;;
  --purge) purge=yes ;;
  *) echo "usage: uninstall.sh [--purge]" >&2; exit 2 ;;
esac
[[ -n $root || $EUID == 0 ]] || { echo "uninstall: run it as root" >&2; exit 1; }

if [[ -z $root ]]; then
  systemctl disable --quiet --now gateway 2>/dev/null || true
fi
rm -f "$root/etc/systemd/system/gateway.service" "$root/etc/sysusers.d/gateway.conf" "$root/usr/local/bin/gateway"
rm -rf "${root}/opt/gateway"
if [[ -n $purge ]]; then
  # On flash nothing is overwritten for certain: docs/install.md says what to do with the card.
  rm -rf "$root/etc/gateway" "$root/etc/systemd/system/gateway.service.d" "$root/var/lib/private/gateway"
  rm -rf "$root/var/lib/gateway"
  [[ -n $root ]] || groupdel gateway-config 2>/dev/null || true
fi
if [[ -z $root && -d /run/systemd/system ]]; then
  systemctl daemon-reload
fi
if [[ -n $purge ]]; then
  echo "uninstall: done, configuration and state too"
else
  echo "uninstall: done; $root/etc/gateway and $root/var/lib/gateway stay (--purge takes them)"
fi
