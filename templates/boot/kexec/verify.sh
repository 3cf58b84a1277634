# --- verifying and unpacking ---

digest_of() {
    # sha256sum says it first, openssl last.
    said=$($hasher < "$1") || said=''
    case $said in *'= '*) said=${said##*= } ;; esac
    echo "${said%% *}"
}

# The sums name the digest that this script expects, the manifest says of which release it is, and
# the timestamp that this release is the latest now. All three are signed.
check_signature() {
    [ -n "$signers" ] || return 0
    get_signed "$sums_url" "$dir/sums"
    grep -qxF "$sha256  $name" "$dir/sums" ||
        fail 6 "the signed sums have another digest for $name; nothing was run"
    get_signed "$manifest_url" "$dir/manifest"
    check_place "$dir/manifest" manifest
    grep -qF "\"sha256\":\"$sha256\",\"size\":$size," "$dir/manifest" ||
        fail 6 "the signed manifest has another digest for $name; nothing was run"
    [ -z "$timestamp_url" ] || check_timestamp
    rm -f "$dir/sums" "$dir/sums.sig" "$dir/manifest" "$dir/manifest.sig"
    say "signed by $signer"
}

# URL, file. The shell's limit keeps whoever answers from filling the disk.
get_signed() {
    rm -f "$2" "$2.sig"
    fetch "$1.sig" "$2.sig" 65536 || fail 6 "the release has no signature at $1.sig"
    fetch "$1" "$2" 1048576 || fail 5 "$1 could not be downloaded"
    signer=$(ssh-keygen -Y find-principals -s "$2.sig" -f "$signers" 2> /dev/null) ||
        fail 6 "no key of $signers has signed the release; nothing was run"
    signer=$(echo "$signer" | sed -n 1p)
    ssh-keygen -Y verify -f "$signers" -I "$signer" -n nixos-images -s "$2.sig" \
        < "$2" > /dev/null 2>&1 || fail 6 "the signature is wrong; nothing was run"
}

# File, what it is. Signed papers of other releases are good, too, and not what was asked for.
check_place() {
    for fact in "\"channel\":\"$channel\"" "\"system\":\"$system\"" \
        "\"version\":\"$version\"" "\"sequence\":$sequence,"; do
        grep -qF "$fact" "$1" ||
            fail 6 "the signed $2 is of another release than $version: it has no $fact; nothing was" \
                "run. Was one published just now? Then get the script again"
    done
}

check_timestamp() {
    get_signed "$timestamp_url" "$dir/timestamp"
    check_place "$dir/timestamp" timestamp
    grep -qF "\"manifest_sha256\":\"$(digest_of "$dir/manifest")\"" "$dir/timestamp" ||
        fail 6 "the signed timestamp names another manifest; nothing was run"
    until=$(sed -n 's/.*"expires_at":"\([^"]*\)".*/\1/p' "$dir/timestamp")
    rm -f "$dir/timestamp" "$dir/timestamp.sig"
    check_time "the signed timestamp" "$until"
}

# What it is, and until when it holds; "" for always. It wants a clock that is not far behind.
check_time() {
    [ -n "$2" ] || return 0
    now=$(date -u +%Y%m%d%H%M%S 2> /dev/null || busybox date -u +%Y%m%d%H%M%S 2> /dev/null) || now=''
    case $now in '' | *[!0-9]*) now=0 ;; esac
    # By more than a day.
    if [ "$now" -lt $(($(echo "$made_at" | tr -dc 0-9) - 1000000)) ]; then
        say "warning: this machine's clock is behind, so nothing tells whether $1 is over"
    fi
    [ "$now" -ge "$(echo "$2" | tr -dc 0-9)" ] || return 0
    say "$1 held until $2: the portal stands still, somebody gives out an old state," \
        "or this machine's clock is wrong"
    [ "$allow_expired" = yes ] || fail 7 "nothing was run; --allow-expired goes on all the same"
}

# A line for each portal, channel and system: the highest number of a release that was taken here.
# It is lost with the machine's disk or RAM, and whoever has the script altered can leave it out.
check_sequence() {
    seen=0 seen_version=''
    if [ -r "$dir.seen" ]; then
        while read -r from of on number release; do
            case $number in '' | *[!0-9]*) continue ;; esac
            if [ "$from $of $on" = "$portal $channel $system" ] && [ "$number" -gt "$seen" ]; then
                seen=$number seen_version=$release
            fi
        done < "$dir.seen"
    fi
    [ "$sequence" -lt "$seen" ] || return 0
    say "$version is older than $seen_version, which was taken here before ($dir.seen):" \
        "it was taken back, or somebody gives out old releases"
    [ "$force_older" = yes ] || fail 7 "nothing was downloaded; --force-older takes it all the same"
}

note_sequence() {
    [ "$sequence" -gt "$seen" ] || return 0
    echo "$portal $channel $system $sequence $version" >> "$dir.seen" ||
        say "warning: $dir.seen could not be written"
}

# Into a new folder, so that nothing of an older image is left between its files.
unpack() {
    fresh=$dir/unpacked.tmp
    rm -rf "$fresh"
    mkdir "$fresh"
    # shellcheck disable=SC2086 # words
    $gunzip < "$dir/$name" | $tar -xf - -C "$fresh" || fail 9 "$name could not be unpacked"
    for file in run kexec ip bzImage initrd; do
        [ -s "$fresh/kexec/$file" ] || fail 9 "$name has no kexec/$file"
    done
    [ "$(ls -A "$fresh")" = kexec ] || fail 9 "$name has more in it than the folder kexec"
    rm -rf "$dir/kexec"
    mv "$fresh/kexec" "$dir/kexec"
    # In a rescue system this is RAM, and the image will want it.
    rm -rf "$fresh" "${dir:?}/$name"
}
