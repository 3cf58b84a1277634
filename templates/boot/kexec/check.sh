# --- what would stop it, before anything is written ---

check() {
    find_tools
    problems=$(list_problems)
    [ -n "$problems" ] || return 0
    say "this machine can't boot into the image; nothing was downloaded or changed:"
    echo "$problems" >&2
    exit 3
}

# Names what is used of each kind; BusyBox may have a program without a link to it.
find_tools() {
    downloader='' hasher='' gunzip='' tar=''
    if has curl; then
        downloader=curl
    elif has wget; then
        downloader=wget
    elif is_in_busybox wget; then
        downloader='busybox wget'
    fi
    if has sha256sum; then
        hasher=sha256sum
    elif is_in_busybox sha256sum; then
        hasher='busybox sha256sum'
    elif has shasum; then
        hasher='shasum -a 256'
    elif has openssl; then
        hasher='openssl dgst -sha256'
    fi
    if has gzip; then gunzip='gzip -dc'; elif is_in_busybox gzip; then gunzip='busybox gzip -dc'; fi
    if has tar; then tar=tar; elif is_in_busybox tar; then tar='busybox tar'; fi
}

has() {
    command -v "$1" > /dev/null 2>&1
}

is_in_busybox() {
    has busybox && busybox --list 2> /dev/null | grep -qx "$1"
}

list_problems() {
    [ -n "$downloader" ] || echo "- there is neither curl nor wget to download with: install one"
    [ -n "$hasher" ] || echo "- none of sha256sum, shasum, openssl is here to verify with: install one"
    if [ -n "$signers" ]; then
        has ssh-keygen || echo "- there is no ssh-keygen to verify the signature with: install it"
        [ -r "$signers" ] || echo "- $signers can't be read"
    fi
    list_lacks_of_space
    [ "$download_only" = no ] || return 0
    if [ "$variant" != kexec-bundle ]; then
        [ -n "$tar" ] || echo "- there is no tar to unpack with: install it, or use --bundle"
        [ -n "$gunzip" ] || echo "- there is no gzip to unpack with: install it, or use --bundle"
    fi
    list_what_stops_kexec
    [ "$ignore_ram" = yes ] || list_lack_of_ram
}

list_what_stops_kexec() {
    [ "$(id -u)" = 0 ] || echo "- you are not root: pipe it to 'sudo sh' or 'doas sh'"
    if [ ! -e /proc/sys/kernel/kexec_load_disabled ]; then
        echo "- this kernel was built without kexec, or /proc is not mounted"
    elif [ "$(cat /proc/sys/kernel/kexec_load_disabled)" != 0 ]; then
        echo "- kexec is switched off until the next reboot (kernel.kexec_load_disabled = 1)"
    fi
    case $(cat /sys/kernel/security/lockdown 2> /dev/null) in
        *'[integrity]'* | *'[confidentiality]'*)
            echo "- the kernel is locked down, mostly by Secure Boot: switch that off in the firmware"
            ;;
    esac
    container=$(container_name)
    [ -z "$container" ] || echo "- this is a container ($container): run it on its host"
}

container_name() {
    if [ -s /run/systemd/container ]; then
        cat /run/systemd/container
    elif [ -e /.dockerenv ]; then
        echo docker
    elif [ -e /run/.containerenv ]; then
        echo podman
    elif [ -r /proc/1/environ ]; then
        tr '\0' '\n' < /proc/1/environ 2> /dev/null | sed -n 's/^container=//p'
    fi
}

list_lack_of_ram() {
    total=$(($(meminfo MemTotal) / 1024))
    # The kernel keeps a part for itself that it doesn't count.
    if [ "$total" != 0 ] && [ $((total + least_ram / 8 + 64)) -lt "$least_ram" ]; then
        echo "- this machine has $total MiB of RAM, and the image was seen to boot with $least_ram MiB" \
            "and more: go on with --ignore-ram all the same"
    fi
}

# In KiB, 0 where it is not known.
meminfo() {
    found=$(sed -n "s/^$1: *\([0-9]*\) kB.*/\1/p" /proc/meminfo 2> /dev/null || true)
    echo "${found:-0}"
}

list_lacks_of_space() {
    place=$dir
    while [ ! -d "$place" ]; do place=$(dirname "$place"); done
    [ -w "$place" ] || echo "- $place is not writable: choose another folder with --dir"
    # The download, and what is unpacked of it, which is packed already for the most part.
    copies=2
    if [ "$download_only" = yes ] || [ "$variant" = kexec-bundle ]; then copies=1; fi
    here=$(($(size_of "$dir/$name.part") + $(size_of "$dir/$name")))
    needed=$(((copies * size - here) / 1024 + 1024))
    free=$(free_space "$place")
    [ "$free" -ge "$needed" ] || echo "- $place has $((free / 1024)) MiB of space, and" \
        "$((needed / 1024)) MiB are needed: choose another folder with --dir"
}

# In KiB. A system that lies in the first RAM disk says nothing of it, or nothing that is true.
free_space() {
    line=$(df -Pk "$1" 2> /dev/null | tail -n 1)
    # shellcheck disable=SC2086 # its columns
    set -- $line
    case "${2:-}/${4:-}" in
        0/* | */ | */*[!0-9]*)
            available=$(meminfo MemAvailable)
            [ "$available" != 0 ] || available=999999999
            echo "$available"
            ;;
        *) echo "$4" ;;
    esac
}

size_of() {
    if [ -f "$1" ]; then wc -c < "$1" | tr -d ' '; else echo 0; fi
}
