#!/usr/bin/env bash
# Installs or upgrades the gateway on a Raspberry Pi: sudo systemd/install.sh
#   program        /opt/gateway          replaced as a whole, the earlier one goes when the new one is there
#   configuration  /etc/gateway          an example at the first time, never touched again
#   state          /var/lib/gateway      systemd makes it; the queue stays
# Can be run again at any time: what is there already is left, and the checkout as it was. Where systemd does not run
# (a card that is being made in a chroot) the service is enabled and starts with the system. With DESTDIR=/somewhere
# everything goes below that directory, nothing is installed by apt, and no service is touched. PYTHON names another
# Python (3.11 or newer).
set -euo pipefail
cd "$(dirname "$0")/.."
root=${DESTDIR:-}
opt=/opt/gateway
python=${PYTHON:-python3}

say() { echo "install: $*"; }
fail() { echo "install: $*" >&2; exit 1; }

packages() {
  local wanted=(python3-venv python3-dev gcc libc6-dev bluez dbus systemd) missing=() package
  for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "apt: ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What the program is built from. What a checkout may hold besides belongs to another build.
sources() {
  find gateway firmware_profiles config/demo setup.py pyproject.toml README.md systemd/requirements.lock \
    -name __pycache__ -prune -o -type f ! -name '*.so' ! -name '*.c' -print0 | LC_ALL=C sort -z
}

# The sources, the libraries, and the Python that runs them.
fingerprint() {
  {
    sources | xargs -0 sha256sum
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
    install -d -m 0755 "$root$opt"
    "$python" -m venv "$root$opt/$version"
    local pip=("$root$opt/$version/bin/python" -m pip --disable-pip-version-check install --quiet)
    "${pip[@]}" --require-hashes --only-binary :all: -r systemd/requirements.lock
    # From a copy: root leaves nothing in the checkout that its owner could not remove.
    install -d "$root$opt/$version/sources"
    sources | xargs -0 cp --parents --target-directory="$root$opt/$version/sources"
    "${pip[@]}" --no-deps --no-build-isolation "$root$opt/$version/sources"
    rm -rf "$root$opt/$version/sources"
    "$root$opt/$version/bin/gateway" --version
    touch "$root$opt/$version/complete"
  fi
  link "$version" "$root$opt/venv"
  for old in "$root$opt"/venv-*; do
    [[ $old == "$root$opt/$version" ]] || outdated+=("$old")
  done
}

# link TO NAME: at no moment without one
link() {
  [[ $(readlink "$2") == "$1" ]] && return
  changed=yes
  ln -sfnT "$1" "$2.new"
  mv -fT "$2.new" "$2"
}

files() {
  cmp -s systemd/gateway.service "$root/etc/systemd/system/gateway.service" || changed=yes
  install -d -m 0755 "$root$opt"/{libexec,share/doc} "$root"/etc/{systemd/system,sysusers.d} "$root/usr/local/bin"
  install -C -m 0755 systemd/{renew-credentials,uninstall.sh} "$root$opt/libexec"
  install -C -m 0644 docs/*.md "$root$opt/share/doc"
  install -C -m 0644 systemd/gateway.service "$root/etc/systemd/system/gateway.service"
  install -C -m 0644 systemd/gateway.sysusers "$root/etc/sysusers.d/gateway.conf"
  link "$opt/venv/bin/gateway" "$root/usr/local/bin/gateway"
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
  systemctl enable --quiet gateway
  if [[ ! -d /run/systemd/system ]]; then
    say "systemd does not run here: the service starts with the system, for which /etc/gateway has to be right"
    return
  fi
  systemctl daemon-reload
  if [[ -n $fresh ]]; then
    say "next: edit /etc/gateway, then  sudo gateway check /etc/gateway && sudo systemctl start gateway"
  elif [[ -z $changed ]] && systemctl is-active --quiet gateway; then
    say "the service runs on"
  elif gateway check /etc/gateway >&2; then
    systemctl restart gateway
    say "restarted; systemctl status gateway"
  else
    say "the configuration does not fit this version: put it right, then  sudo systemctl restart gateway"
  fi
}

fresh=
changed=  # what the service runs with
outdated=()
[[ -n $root || $EUID == 0 ]] || fail "run it as root: sudo systemd/install.sh"
if [[ -n $root ]]; then root=$(realpath -m "$root"); else packages; fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed"
program
configuration
files
[[ -n $root ]] || service
if ((${#outdated[@]})); then rm -rf "${outdated[@]}"; fi
say "done"
