# --- verifying and unpacking ---

digest_of() {
    # sha256sum says it first, openssl last.
    said=$($hasher < "$1") || said=''
    case $said in *'= '*) said=${said##*= } ;; esac
    echo "${said%% *}"
}

# The signature is on the sums, and the sums name the digest that this script expects.
check_signature() {
    [ -n "$signers" ] || return 0
    rm -f "$dir/sums" "$dir/sums.sig"
    fetch "$sums_url.sig" "$dir/sums.sig" 65536 || fail 6 "the release has no signature at $sums_url.sig"
    fetch "$sums_url" "$dir/sums" 65536 || fail 5 "$sums_url could not be downloaded"
    signer=$(ssh-keygen -Y find-principals -s "$dir/sums.sig" -f "$signers" 2> /dev/null) ||
        fail 6 "no key of $signers has signed the release; nothing was run"
    signer=$(echo "$signer" | sed -n 1p)
    ssh-keygen -Y verify -f "$signers" -I "$signer" -n nixos-images -s "$dir/sums.sig" \
        < "$dir/sums" > /dev/null 2>&1 || fail 6 "the signature is wrong; nothing was run"
    grep -qxF "$sha256  $name" "$dir/sums" ||
        fail 6 "the signed sums have another digest for $name; nothing was run"
    rm -f "$dir/sums" "$dir/sums.sig"
    say "signed by $signer"
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
