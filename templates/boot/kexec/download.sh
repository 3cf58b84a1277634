# --- downloading, with as many breaks as it takes ---

# URL, file, most bytes. Goes on behind what is there already; the shell's limit ends a server that
# sends without end.
fetch() (
    ulimit -f $(($3 / 512 + 2)) 2> /dev/null || true
    case $downloader in
        curl)
            if [ -t 2 ]; then set -- "$@" --progress-bar; else set -- "$@" -sS; fi
            from=$1 to=$2
            shift 3
            exec curl -fL "$@" --connect-timeout 30 --speed-limit 1 --speed-time 60 \
                -C "$(size_of "$to")" -o "$to" "$from" < /dev/null
            ;;
    esac
    # BusyBox knows few options.
    case $($downloader --version 2>&1) in
        *'GNU Wget'*) options='-T 60 -nv' quiet='' ;;
        *) options='' quiet=-q ;;
    esac
    if [ -t 2 ]; then options=${options%-nv} quiet=''; fi
    # shellcheck disable=SC2086 # words
    exec $downloader $quiet $options -c -O "$2" "$1" < /dev/null
)

# URL, file, size in bytes. Ends when the file is that long.
get() {
    idle=0 best=0
    while :; do
        before=$(size_of "$2")
        if [ "$before" -gt "$3" ]; then
            rm -f "$2"
            before=0
        fi
        [ "$before" -lt "$3" ] || return 0
        [ "$idle" -lt 4 ] || return 1
        fetch "$1" "$2" "$3" || true
        after=$(size_of "$2")
        [ "$after" != "$3" ] || return 0
        say "it broke off at $after of $3 bytes"
        idle=$((idle + 1))
        if [ "$after" -gt "$best" ] && [ "$after" -lt "$3" ]; then
            idle=0 best=$after
        elif [ "$after" -le "$before" ] || [ "$after" -gt "$3" ]; then
            # Nothing came, or too much: what is there may be what stands in the way.
            rm -f "$2"
        fi
        sleep $((idle + 1))
    done
}

# URL, file, size, digest. What was begun before is gone on with, and thrown away where it is not
# the beginning of this file.
get_verified() {
    if [ -f "$2" ]; then mv -f "$2" "$2.part"; fi
    begun=$(size_of "$2.part")
    get "$1" "$2.part" "$3" || fail 5 "$1 could not be downloaded"
    if [ "$(digest_of "$2.part")" != "$4" ] && [ "$begun" != 0 ]; then
        say "what was there before is not the beginning of it: once more from the start"
        rm -f "$2.part"
        get "$1" "$2.part" "$3" || fail 5 "$1 could not be downloaded"
    fi
    found=$(digest_of "$2.part")
    if [ "$found" != "$4" ]; then
        rm -f "$2.part"
        fail 6 "what came is not what was published; nothing was run. SHA-256: $found"
    fi
    mv -f "$2.part" "$2"
    say "verified"
}
