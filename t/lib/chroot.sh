# Chroots of Debian.  A base is made once and never written to; what runs in a
# chroot writes to a layer above it, in memory, which is gone afterwards.
#
#   . t/lib/chroot.sh
#   chroot_open bookworm [i386]    as root
#   chroot_run 'commands'          with set -eu, in a process namespace of its
#                                  own; what they leave running ends with them;
#                                  with --alone before them in a network of
#                                  their own, too
#   chroot_close
#
# This source is /src/klaviyo there: a copy of the files that git knows.
#
# CHROOTS is the folder of the bases and of what apt fetched (objs/chroots).
# MIRROR is where debootstrap and apt of the chroots fetch from; else it is
# debootstrap's own.

root=$(cd "$(dirname "$0")/../.." && pwd)
chroots=${CHROOTS:-$root/objs/chroots}
chroot=
layer=

trap chroot_close EXIT
trap 'exit 1' INT TERM HUP


chroot_open() {
    base=$chroots/$1${2:+-$2}
    debs=$base.debs

    if [ ! -e "$base.made" ]; then
        rm -rf "$base"
        mkdir -p "$base" "$debs/partial"
        debootstrap --variant=minbase ${2:+--arch="$2"} "$1" "$base" \
            ${MIRROR:+"$MIRROR"} > "$base.log" || {
            tail -n 20 "$base.log" >&2
            return 1
        }
        touch "$base.made"
    fi

    layer=$(mktemp -d "$base.XXXXXX")
    mount -t tmpfs -o mode=0755 tmpfs "$layer"
    chroot=$layer/root
    mkdir "$layer/up" "$layer/work" "$chroot"
    mount -t overlay overlay \
        -o "lowerdir=$base,upperdir=$layer/up,workdir=$layer/work" "$chroot"

    mkdir -p "$debs/partial" "$chroot/var/cache/apt/archives"
    mount --bind "$debs" "$chroot/var/cache/apt/archives"
    mount -t tmpfs tmpfs "$chroot/run"
    mount -t tmpfs tmpfs "$chroot/dev/shm"

    # a mirror may be one of an earlier day

    cat > "$chroot/etc/apt/apt.conf.d/90test" << 'END'
Acquire::Check-Valid-Until "false";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
APT::Install-Recommends "false";
DPkg::Options { "--force-unsafe-io"; };
END

    mkdir -p "$chroot/src/klaviyo"
    git -C "$root" ls-files -z \
        | tar -C "$root" --null -T - --ignore-failed-read -cf - 2>/dev/null \
        | tar -C "$chroot/src/klaviyo" -xf -
}


chroot_run() {
    net=
    if [ "$1" = --alone ]; then
        net=--net
        shift
    fi

    unshare --pid --fork --kill-child --mount --mount-proc="$chroot/proc" \
        $net sh -c '[ -z "$1" ] || ip link set lo up
            exec chroot "$2" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
                HOME=/root DEBIAN_FRONTEND=noninteractive \
                LC_ALL=C.UTF-8 sh -euc "$3"' \
        sh "$net" "$chroot" "$1"
}


chroot_close() {
    if [ -n "$layer" ]; then
        umount "$chroot/var/cache/apt/archives" "$chroot/run" \
            "$chroot/dev/shm" 2>/dev/null || :
        umount "$chroot" 2>/dev/null || umount -l "$chroot" 2>/dev/null || :
        umount "$layer" 2>/dev/null || umount -l "$layer" 2>/dev/null || :
        rmdir "$layer" 2>/dev/null || :
    fi

    layer=
    chroot=
}
