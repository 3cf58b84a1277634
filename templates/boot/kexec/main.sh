# --- the way, from top to bottom ---

usage() {
    cat << 'END'
usage: sh -s -- [OPTIONS], or sh FILE [OPTIONS]
  --variant VARIANT          kexec-installer, kexec-installer-noninteractive or kexec-bundle
  --bundle                   the same as --variant kexec-bundle; wants neither tar nor gzip
  --dir FOLDER               work here; /root/nixos-images if left out
  --download-only            download and verify, run nothing
  --allowed-signers FILE     verify the release's signature by ssh-keygen, too
  --force-older              take a release older than the one that was taken here before
  --allow-expired            take a latest release that nobody vouches for any more
  --ignore-ram               go on with less RAM than the image was seen to boot with
  --append PARAMS            more parameters for the kernel, handed to kexec/run
  --kexec-extra-flags FLAGS  more flags for kexec, handed to kexec/run
  --dry-run                  let kexec/run only say what it would do
  -- ARGUMENTS               hand all that follows to kexec/run
It ends with 0 when all went well, 2: wrong arguments, 3: this machine can't, 4: there is no such
image, 5: the download failed, 6: what came is not what was published, 7: older than what was
taken before, or over, 8: kexec/run refused, 9: it could not be unpacked.
END
}

main() {
    set -eu
    PATH=${PATH:-}:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin
    variant=kexec-installer dir=/root/nixos-images signers=''
    download_only=no force_older=no allow_expired=no ignore_ram=no left=$#
    while [ "$left" -gt 0 ]; do
        word=$1 left=$((left - 1))
        shift
        case $word in
            --append | --kexec-extra-flags | --variant | --dir | --allowed-signers)
                [ "$left" -gt 0 ] || wrong "$word needs a value"
                word=$word=$1 left=$((left - 1))
                shift
                ;;
        esac
        # What is handed on goes to the end of the list, in its order.
        case $word in
            --) while [ "$left" -gt 0 ]; do
                word=$1 left=$((left - 1))
                shift
                set -- "$@" "$word"
            done ;;
            --append=* | --kexec-extra-flags=* | --dry-run) set -- "$@" "$word" ;;
            --help | -h) usage; exit 0 ;;
            *) set_option "$word" ;;
        esac
    done
    choose
    check_sequence
    check_time "this script" "$expires_at"
    check
    mkdir -p "$dir" || fail 3 "$dir can't be made: choose another folder with --dir"
    check_signature
    get_verified "$url" "$dir/$name" "$size" "$sha256"
    note_sequence
    if [ "$download_only" = yes ]; then
        say "$dir/$name is downloaded and verified; nothing was run"
        exit 0
    fi
    program=$dir/$name
    if [ "$variant" != kexec-bundle ]; then
        unpack
        program=$dir/kexec/run
    fi
    # What is left on standard input is this script's, if it was piped to the shell.
    sh "$program" "$@" < /dev/null || fail 8 "$program ended with $?; nothing was booted"
}

set_option() {
    case $1 in
        --variant=*) variant=${1#*=} ;;
        --dir=*) dir=${1#*=} ;;
        --allowed-signers=*) signers=${1#*=} ;;
        --bundle) variant=kexec-bundle ;;
        --download-only) download_only=yes ;;
        --force-older) force_older=yes ;;
        --allow-expired) allow_expired=yes ;;
        --ignore-ram) ignore_ram=yes ;;
        *) wrong "unknown argument: $1" ;;
    esac
    case $dir in /*) ;; *) dir=$(pwd)/$dir ;; esac
}

choose() {
    machine=$(uname -m)
    case $machine in
        x86_64 | amd64) system=x86_64-linux ;;
        aarch64 | arm64) system=aarch64-linux ;;
        *) fail 4 "there are no images for machines of $machine" ;;
    esac
    choose_release "$system" || fail 4 "$channel has nothing for $system"
    [ -z "$why" ] || fail 4 "$why"
    choose_file "$system" "$variant" || fail 4 "$channel $version has no $variant for $system"
    say "$channel $version for $system, published $published_at"
    say "$name, $((size / 1048576)) MiB, SHA-256 $sha256"
    say "this script was made by $portal at $made_at"
}

say() {
    echo "nixos-images: $*" >&2
}

fail() {
    code=$1
    shift
    say "$*"
    exit "$code"
}

wrong() {
    say "$*"
    usage >&2
    exit 2
}
