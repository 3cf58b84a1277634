# Stage 1: keeps what an earlier system handed over, before the initrd's own files are gone.
# Sourced with $root, where the image's root is mounted.
# shellcheck shell=sh
# shellcheck disable=SC2154 # $root is set by whoever sources it

if [ -d /handover ]; then
    # /run lives on in stage 2. For root alone: there are private keys in it.
    (umask 077 && cp -r /handover /run/handover)
    # The first thing that systemd asks for, long before restore.sh runs.
    if [ -s /handover/machine-id ]; then
        mkdir -p "$root/etc"
        cp /handover/machine-id "$root/etc/machine-id"
        chmod 444 "$root/etc/machine-id"
    fi
fi
