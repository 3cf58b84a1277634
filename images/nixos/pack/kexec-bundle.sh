#!/bin/sh
# Boots this machine into the NixOS installer: what follows this script is the tarball of the kexec
# installer. It is verified, unpacked into a temporary folder and run, with the same arguments.
set -eu

# Filled in where the bundle is built: the digest of all bytes after this script, and how many
# lines it has itself.
digest=@digest@
lines=@lines@

main() {
    PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin
    bundle=$0
    verify
    folder=$(make_folder)
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 1' HUP INT TERM
    payload | tar -xzf - -C "$folder"
    sh "$folder/kexec/run" "$@"
    # What boots in a few seconds still needs its folder.
    [ "$(cat /sys/kernel/kexec_loaded 2> /dev/null)" != 1 ] || trap - EXIT
}

payload() {
    tail -n "+$((lines + 1))" "$bundle"
}

verify() {
    [ -f "$bundle" ] || stop "save this to a file first: it has to read itself"
    if command -v sha256sum > /dev/null; then
        set -- sha256sum
    elif command -v shasum > /dev/null; then
        set -- shasum -a 256
    elif command -v openssl > /dev/null; then
        set -- openssl dgst -sha256 -r
    else
        stop "none of sha256sum, shasum and openssl is here to verify it with"
    fi
    found=$(payload | "$@")
    found=${found%% *}
    [ "$found" = "$digest" ] ||
        stop "$bundle is damaged: its content has the digest $found instead of $digest"
}

# A new folder with room for the payload, and for the copy of its initrd that run makes, where
# programs may run.
make_folder() {
    umask 077
    needed=$(($(wc -c < "$bundle") * 5 / 2048))
    for parent in "${TMPDIR:-}" /tmp /var/tmp /root "$(dirname "$bundle")"; do
        if [ ! -d "$parent" ] || [ ! -w "$parent" ]; then
            continue
        fi
        # df knows nothing of a root that is the initrd's own; there it has to be tried.
        free=$(df -Pk "$parent" 2> /dev/null | awk 'NR == 2 { print $4 }')
        [ "${free:-$needed}" -ge "$needed" ] || continue
        made=$(mktemp -d "$parent/kexec-bundle.XXXXXX") || continue
        printf '#!/bin/sh\n' > "$made/probe"
        chmod 700 "$made/probe"
        if "$made/probe" 2> /dev/null; then
            rm "$made/probe"
            echo "$made"
            return
        fi
        rm -r "$made"
    done
    stop "no folder has $((needed / 1024)) MiB free and lets programs run: say one by TMPDIR=..."
}

stop() {
    echo "kexec-bundle: $*; nothing was changed" >&2
    exit 1
}

main "$@"
exit
