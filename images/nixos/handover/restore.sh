# Stage 2: puts what an earlier system handed over where sshd, networkd and resolved look for it.
#
# usage: restore.sh HANDOVER ROOT
# with HANDOVER as kexec/run lays it out, and ROOT empty but in tests. It runs before any of the
# services, needs coreutils, sed, and dropbearconvert for the keys of a host without OpenSSH.
# shellcheck shell=sh
set -u
# Each part is worth having without the others.
set +e

handover=$1 root=$2
networks=$root/run/systemd/network

main() {
    [ ! -s "$handover/hostname" ] || hostname
    authorized_keys
    openssh_host_keys
    dropbear_host_keys
    [ ! -s "$handover/network" ] || network
}

# For the kernel, and for who asks hostnamed; /etc/hostname is a link into the store.
hostname() {
    cat "$handover/hostname" > "$root/proc/sys/kernel/hostname"
    rm -f "$root/etc/hostname"
    install_file 644 "$handover/hostname" "$root/etc/hostname"
}

authorized_keys() {
    [ -s "$handover/ssh/authorized_keys" ] || return 0
    mkdir -p "$root/root/.ssh"
    chmod 700 "$root/root" "$root/root/.ssh"
    install_file 600 "$handover/ssh/authorized_keys" "$root/root/.ssh/authorized_keys"
}

openssh_host_keys() {
    mkdir -p "$root/etc/ssh"
    for file in "$handover"/ssh/ssh_host_*; do
        [ -f "$file" ] || continue
        case $file in
            *.pub) install_file 644 "$file" "$root/etc/ssh/${file##*/}" ;;
            *) install_file 600 "$file" "$root/etc/ssh/${file##*/}" ;;
        esac
    done
}

# A host may have only dropbear, and clients know it by dropbear's key.
dropbear_host_keys() {
    for type in rsa ecdsa ed25519; do
        from=$handover/dropbear/dropbear_${type}_host_key
        to=$root/etc/ssh/ssh_host_${type}_key
        if [ ! -f "$from" ] || [ -e "$to" ]; then
            continue
        fi
        (umask 077 && dropbearconvert dropbear openssh "$from" "$to") ||
            echo "the host key $from could not be converted" >&2
    done
}

install_file() {
    cp "$2" "$3"
    chmod "$1" "$3"
    chown 0:0 "$3" 2> /dev/null || true
}

# --- the network: one file for each card that had an address of its own ---

network() {
    umask 022
    mkdir -p "$networks"
    cards | while read -r mac; do
        write_card "$mac" > "$networks/10-handover-$(echo "$mac" | tr : -).network"
    done
    nameservers=$(values nameserver)
    if [ -n "$nameservers" ]; then
        mkdir -p "$root/run/systemd/resolved.conf.d"
        {
            echo '[Resolve]'
            echo "$nameservers" | sed 's/^/DNS=/'
        } > "$root/run/systemd/resolved.conf.d/handover.conf"
    fi
}

# The values of the lines of a kind, of one card where $2 names it; a route has two words.
values() {
    while read -r kind mac value; do
        [ "$kind" = "$1" ] || continue
        case $kind in
            nameserver) echo "$mac" ;;
            *) [ "$mac" != "$2" ] || echo "$value" ;;
        esac
    done < "$handover/network"
}

cards() {
    while read -r kind mac _; do
        [ "$kind" != address ] || echo "$mac"
    done < "$handover/network" | sort -u
}

write_card() {
    addresses=$(values address "$1")
    printf '[Match]\n%s\n\n[Network]\n' "$(match "$1")"
    # A card with an IPv4 address of its own asks for no other.
    case $addresses in
        *.*) echo 'DHCP=no' ;;
        *) echo 'DHCP=ipv4' ;;
    esac
    echo 'IPv6AcceptRA=yes'
    for address in $addresses; do
        echo "Address=$(with_length "$address")"
    done
    for gateway in $(values gateway "$1"); do
        route "$gateway"
    done
    values route "$1" | while read -r target gateway; do
        route "$gateway" "$target"
    done
}

# What is for any card is for the one that the machine has booted from, where the boot loader says
# it (BOOTIF=01-52-54-00-12-34-56), or else for whichever cards there are: networkd knows no first.
match() {
    mac=$1
    if [ "$mac" = any ]; then
        mac=$(sed -n 's/.*BOOTIF=01-\([0-9A-Fa-f-]*\).*/\1/p' "$root/proc/cmdline" | tr A-F- a-f:)
    fi
    case $mac in
        '') printf 'Type=ether\nKind=!*\n' ;;
        *) echo "MACAddress=$mac" ;;
    esac
}

# A point-to-point address comes without its length.
with_length() {
    case $1 in
        */*) echo "$1" ;;
        *:*) echo "$1/128" ;;
        *) echo "$1/32" ;;
    esac
}

# gateway, and the target where it is not the default route. Some hosters' gateways are outside of
# the addresses' own networks, so all are said to be on the link.
route() {
    printf '\n[Route]\nGateway=%s\nGatewayOnLink=yes\n' "$1"
    [ $# = 1 ] || echo "Destination=$2"
}

main
