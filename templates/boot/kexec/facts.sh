# --- what the portal knew when it made this script ---

# By a system: the release of it. Fails where the channel has none.
choose_release() {
    version='' sequence='' published_at='' sums_url='' why='' manifest_url='' timestamp_url='' expires_at=''
    case $1 in
{% for each in releases %}        {{ each.system }})
            version={{ each.version }} sequence={{ each.sequence }} published_at={{ each.published_at }}
            sums_url={{ each.sums_url }}
            manifest_url={{ each.manifest_url }}
            timestamp_url={{ each.timestamp_url }} expires_at={{ each.expires_at }}
            why={{ each.why }}
            ;;
{% endfor %}        *) return 1 ;;
    esac
}

# By a system and a variant: the file, its size in bytes, and the least RAM in MiB, 0 for unknown.
choose_file() {
    name='' size='' sha256='' url='' least_ram=''
    case $1/$2 in
{% for each in files %}        {{ each.system }}/{{ each.variant }})
            name={{ each.name }} size={{ each.size }} least_ram={{ each.least_ram }}
            sha256={{ each.sha256 }}
            url={{ each.url }}
            ;;
{% endfor %}        *) return 1 ;;
    esac
}
