# A minimal Debian in a folder, for scripts/bare-machine and scripts/package-test, which source this
# file. They have `suite`, `fail` and `machine`: the folder, kept; or empty, for a new one in
# build/bare/ that is removed at the end, whatever happens. Root is needed. MIRROR=URL names another
# Debian mirror than that of this machine's apt.

# start_machine: makes the machine, or uses again what stands in its folder; afterwards
# `in_machine DIR COMMAND…` runs there, with this machine's network and nothing on standard input.
# clone_into_machine: installs git there and clones the current commit to /srv/crowdteach.
# inside: the processes that run inside; there should be none once a command has ended.

keep=true
((EUID == 0)) || fail "root is needed (debootstrap, mount, chroot): sudo $0 $suite"
command -v debootstrap >/dev/null || fail "debootstrap is missing: run scripts/setup --engineer"
environment=(HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)

inside() {
  local process root
  for process in /proc/[0-9]*; do
    root=$(readlink "$process/root" 2>/dev/null) || continue
    if [[ $root == "$machine" ]]; then echo "${process#/proc/}"; fi
  done
}

cleanup() {
  local status=$? pids mount
  trap - EXIT INT TERM HUP
  pids=$(inside)
  if [[ -n $pids ]]; then
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || true
  fi
  for mount in dev/shm dev/pts sys proc; do
    if mountpoint -q "$machine/$mount"; then
      umount "$machine/$mount" 2>/dev/null || umount -l "$machine/$mount"
    fi
  done
  if ! $keep; then
    if grep -qF " $machine/" /proc/mounts; then
      echo "$0: something is still mounted, not removed: $machine" >&2
    else
      rm -rf --one-file-system "$machine"
    fi
  fi
  exit "$status"
}

# The Debian mirror of this machine's apt, not that of security updates.
own_mirror() {
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n 's/^Debian|Debian|//p' | sed -n '1s,/$,,p'
}

minutes() { printf '%d.%d min' $(($1 / 60)) $(($1 % 60 / 6)); }

bootstrap() {
  local mirror log=$machine.debootstrap.log
  mirror=${MIRROR:-$(own_mirror)}
  mirror=${mirror:-http://deb.debian.org/debian}
  echo "machine: $suite from $mirror in $machine"
  mkdir -p "$(dirname "$log")"
  debootstrap --variant=minbase "$suite" "$machine" "$mirror" >"$log" 2>&1 </dev/null || {
    tail -n 20 "$log" >&2; fail "debootstrap failed (its last lines are above)"; }
  rm "$log"
  touch "$machine/.debootstrap-done"
}

# The network as this machine has it: names, and what its administrator told apt (proxies).
copy_network() {
  local file name
  cp -L /etc/resolv.conf /etc/hosts "$machine/etc/"
  for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/* /etc/apt/auth.conf.d/*; do
    if [[ -f $file ]] && ! dpkg -S "$file" >/dev/null 2>&1; then
      install -D -m 644 "$file" "$machine$file"
    fi
  done
  if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    mkdir -p "$machine/usr/local/share/ca-certificates"
    cp /usr/local/share/ca-certificates/*.crt "$machine/usr/local/share/ca-certificates/"
  fi
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    if [[ -n ${!name:-} ]]; then environment+=("$name=${!name}"); fi
  done
}

start_machine() {
  if [[ -z $machine ]]; then
    keep=false
    mkdir -p build/bare
    machine=$(realpath "$(mktemp -d "build/bare/$suite.XXXXXX")")
    chmod 755 "$machine"
  fi
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  if [[ -x $machine/usr/bin/apt-get && -f $machine/.debootstrap-done ]]; then
    echo "machine: $machine is used again"
  else
    bootstrap
  fi
  copy_network
  mkdir -p "$machine"/{proc,sys,dev/pts}
  mountpoint -q "$machine/proc" || mount -t proc proc "$machine/proc"
  mountpoint -q "$machine/sys" || mount -t sysfs -o ro sysfs "$machine/sys"
  mountpoint -q "$machine/dev/pts" ||
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$machine/dev/pts"
  # debootstrap may have left a link here, which would lead out of the machine.
  if [[ -L $machine/dev/shm ]]; then rm "$machine/dev/shm"; fi
  mkdir -p "$machine/dev/shm"
  mountpoint -q "$machine/dev/shm" || mount -t tmpfs -o mode=1777 tmpfs "$machine/dev/shm"
  [[ -c $machine/dev/null && -c $machine/dev/urandom ]] ||
    fail "no device nodes in $machine/dev: is it on a file system mounted nodev?"
  in_machine / apt-get -q update >/dev/null
}

# In the background and waited for, so that a signal to us is handled at once; under job control,
# as otherwise bash would let the command ignore SIGINT.
set -m
in_machine() {
  env -i "${environment[@]}" chroot "$machine" /bin/bash -c 'cd "$1" && shift && exec "$@"' \
    machine "$@" </dev/null &
  wait "$!"
}

# apt-get inside, quiet unless it fails.
install_in_machine() {
  local log=$machine/var/log/machine-install.log
  in_machine / env DEBIAN_FRONTEND=noninteractive \
    apt-get -q install -y --no-install-recommends "$@" >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; fail "could not be installed in $machine: $*"; }
}

clone_into_machine() {
  git diff --quiet HEAD -- || echo "machine: uncommitted changes are left out" >&2
  install_in_machine git ca-certificates
  rm -rf --one-file-system "$machine/srv/crowdteach.git" "$machine/srv/crowdteach"
  git init -q --bare -b main "$machine/srv/crowdteach.git"
  git push -q "$machine/srv/crowdteach.git" HEAD:refs/heads/main
  chown -R 0:0 "$machine/srv/crowdteach.git"
  in_machine /srv git clone -q /srv/crowdteach.git
}
