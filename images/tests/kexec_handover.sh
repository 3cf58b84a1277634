#!/bin/sh
# Boots an image in QEMU, kexecs from it into the tarball's image, and looks at what was handed over.
#
# usage: kexec_handover.sh SYSTEM NETBOOT TARBALL_FOLDER
# where the last two are the outputs of packages.<system>.netboot and .kexec-installer.
# Needs qemu, openssh-client, cpio and python3. Under emulation it takes a minute or two.
set -eu

system=$1 netboot=$2 tarball_folder=$3
tarball=nixos-kexec-installer-$system.tar.gz
work=$(mktemp -d)
children=''

# shellcheck disable=SC2317 # the trap calls it
finish() {
    for child in $children; do
        kill "$child" 2> /dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "FAILED: $*; the guest's console ended with:" >&2
    tail -n 20 "$work/console" >&2
    exit 1
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_guest() {
    case $system in
        x86_64-linux) set -- qemu-system-x86_64 -kernel "$netboot/bzImage-$system" -append console=ttyS0 ;;
        aarch64-linux) set -- qemu-system-aarch64 -M virt -cpu cortex-a57 \
            -kernel "$netboot/Image-$system" -append console=ttyAMA0 ;;
    esac
    "$@" -accel tcg -m 1024 -display none -monitor none -serial "file:$work/console" \
        -initrd "$work/initrd" \
        -netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$ssh_port-:22" -device virtio-net-pci,netdev=n0 &
    children="$children $!"
}

guest() {
    ssh -F none -i "$work/key" -p "$ssh_port" -o ConnectTimeout=5 -o BatchMode=yes \
        -o IdentitiesOnly=yes -o "UserKnownHostsFile=$work/known_hosts" \
        -o StrictHostKeyChecking="$known" root@127.0.0.1 "$@"
}

# Waits until the guest answers and its kernel's command line has the word (any, where it is empty).
wait_for_guest() {
    for _ in $(seq 60); do
        # shellcheck disable=SC2015 # false either way means not yet
        guest cat /proc/cmdline 2> "$work/ssh-error" | grep -q "$1" && return 0
        sleep 2
    done
    cat "$work/ssh-error" >&2
    fail "no answer from a guest with '$1' on its command line"
}

# Without those that the guest gets by itself from QEMU's router advertisements.
addresses() {
    guest ip -o address show dev eth0 | awk '/scope global/ && !/fec0:/ { print $4 }' | sort
}

default_routes() {
    guest 'ip -4 route show; ip -6 route show' | awk '/^default/ && !/fe80:/ { print $3 }'
}

same() {
    [ "$1" = "$2" ] || fail "$3 changed from '$1' to '$2'"
    echo "ok: the same $3"
}

ssh_port=$(free_port) http_port=$(free_port)
ssh-keygen -q -t ed25519 -N '' -C tester -f "$work/key"
mkdir -p "$work/extra/handover/ssh"
{ printf 'no-agent-forwarding '; cat "$work/key.pub"; } > "$work/extra/handover/ssh/authorized_keys"
cat "$netboot/initrd-$system" > "$work/initrd"
# The kernel looks for the next archive at a multiple of four bytes.
truncate -s %4 "$work/initrd"
(cd "$work/extra" && find handover | cpio --quiet -o -H newc) >> "$work/initrd"

python3 -m http.server --bind 127.0.0.1 -d "$tarball_folder" "$http_port" > /dev/null 2>&1 &
children="$children $!"

echo "boots the first guest"
known=accept-new
start_guest
wait_for_guest ''
known=yes
# The metric is below the one of the gateway that QEMU advertises.
guest 'ip -6 address add 2001:db8::5/64 dev eth0; ip -6 route add default via 2001:db8::1 dev eth0 metric 9'
keys=$(guest cat /root/.ssh/authorized_keys)
machine_id=$(guest cat /etc/machine-id)
address=$(addresses)
route=$(default_routes)

echo "kexecs into the second"
guest "cd /root && wget -q http://10.0.2.2:$http_port/$tarball -O- | tar -xzf -"
before=$(guest sha256sum /root/kexec/initrd)
guest /root/kexec/run --dry-run
guest /root/kexec/run --append test.round=1
said=$(guest /root/kexec/run --append=test.round=2)
echo "$said" | grep -q 'machine will boot into nixos' || fail "run said: $said"
same "$before" "$(guest sha256sum /root/kexec/initrd)" "initrd in the folder after two runs"
wait_for_guest test.round=2

# ssh itself has compared the host key: it refuses one that it doesn't know.
echo "ok: the same host key"
same "$keys" "$(guest cat /root/.ssh/authorized_keys)" "authorized keys"
same "$machine_id" "$(guest cat /etc/machine-id)" "machine id"
same "$address" "$(addresses)" "addresses"
same "$route" "$(default_routes)" "default routes"
[ "$(grep -c 'mini image is up' "$work/console")" = 2 ] || fail "two boots should say that they are up"
