#!/usr/bin/env bash
# Installs or upgrades the gateway on a Raspberry Pi: sudo systemd/install.sh
#   program        /opt/gateway          replaced as a whole, the earlier one goes when the new one is there
#   configuration  /etc/gateway          an example at the first time, never touched again
#   state          /var/lib/gateway      systemd makes it; the queue stays
# Can be run again at any time: what is there already is left. With DESTDIR=/somewhere everything goes below that
# directory, nothing is installed by apt, and no service is touched. PYTHON names another Python (3.11 or newer).
set -euo pipefail
cd "$(dirname "$0")/.."
root=${DESTDIR:-}
opt=/opt/gateway
python=${PYTHON:-python3}

say() { echo "install: $*"; }
fail() { echo "install: $*" >&2; exit 1; }

packages() {
  local wanted=(python3-venv python3-dev gcc libc6-dev bluez dbus) missing=() package
  for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "apt: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What the program is made of: the sources, the libraries, and the Python that runs them.
fingerprint() {
  {
    find gateway firmware_profiles setup.py pyproject.toml systemd/requirements.lock -type f \
      \( -name '*.py' -o -name '*.pxd' -o -name '*.yaml' -o -name '*.toml' -o -name '*.typed' -o -name '*.lock' \) -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum
    "$python" -c 'import sys; print(sys.version)'
  } | sha256sum | cut -c1-12
}

# A virtual environment cannot be moved, so each has a name of its own and `venv` is a link to the one that counts.
program() {
  local version old
  version=venv-$(fingerprint)
  if [[ -x $root$opt/$version/bin/gateway && -e $root$opt/$version/complete ]]; then
    say "the program is up to date ($version)"
  else
    say "building the program ($version)"
    rm -rf "$root${opt:?}/${version:?}"
    rm -rf build  # of another version
    install -d -m 0755 "$root$opt"
    "$python" -m venv "$root$opt/$version"
    local pip=("$root$opt/$version/bin/python" -m pip --disable-pip-version-check install --quiet)
    "${pip[@]}" --require-hashes --only-binary :all: -r systemd/requirements.lock
    "${pip[@]}" --no-deps --no-build-isolation .
    "$root$opt/$version/bin/gateway" --version
    touch "$root$opt/$version/complete"
  fi
  ln -sfnT "$version" "$root$opt/venv.new"
  mv -fT "$root$opt/venv.new" "$root$opt/venv"
  for old in "$root$opt"/venv-*; do
    [[ $old == "$root$opt/$version" ]] || outdated+=("$old")
  done
}

files() {
  install -d -m 0755 "$root$opt"/{libexec,share/doc} "$root"/etc/{systemd/system,sysusers.d} "$root/usr/local/bin"
  install -m 0755 systemd/renew-credentials "$root$opt/libexec/renew-credentials"
  install -m 0755 systemd/uninstall.sh "$root$opt/libexec/uninstall.sh"
  install -m 0644 docs/*.md "$root$opt/share/doc"
  install -m 0644 systemd/gateway.service "$root/etc/systemd/system/gateway.service"
  install -m 0644 systemd/gateway.sysusers "$root/etc/sysusers.d/gateway.conf"
  ln -sfnT "$opt/venv/bin/gateway" "$root/usr/local/bin/gateway"
}

configuration() {
  [[ -n $root ]] || systemd-sysusers "$PWD/systemd/gateway.sysusers"
  [[ -d $root/etc/gateway ]] || fresh=yes
  install -d -m 0750 "$root/etc/gateway"
  install -d -m 0700 "$root/etc/gateway/credentials"
  [[ -n $root ]] || { chgrp gateway-config /etc/gateway; chmod 0750 /etc/gateway; chown root:root /etc/gateway/credentials; }
  if [[ ! -e $root/etc/gateway/gateway.yaml ]]; then
    say "an example is in $root/etc/gateway; change it to your store"
    local file
    for file in config/store/*.yaml; do
      [[ -e $root/etc/gateway/${file##*/} ]] || install -m 0640 "$file" "$root/etc/gateway"
    done
    [[ -n $root ]] || chgrp gateway-config /etc/gateway/*.yaml
  fi
}

service() {
  systemctl daemon-reload
  systemctl enable --quiet gateway
  if [[ -n $fresh ]]; then
    say "next: edit /etc/gateway, then  gateway check /etc/gateway && sudo systemctl start gateway"
  elif gateway check /etc/gateway >&2; then
    systemctl restart gateway
    say "restarted; systemctl status gateway"
  else
    say "the configuration does not fit this version: put it right, then  sudo systemctl restart gateway"
  fi
}

fresh=
outdated=()
[[ -n $root || $EUID == 0 ]] || fail "run it as root: sudo systemd/install.sh"
if [[ -n $root ]]; then root=$(realpath -m "$root"); else packages; fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed"
program
configuration
files
if [[ -z $root && -d /run/systemd/system ]]; then service; fi
if ((${#outdated[@]})); then rm -rf "${outdated[@]}"; fi
say "done"
