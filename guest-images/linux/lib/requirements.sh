# shellcheck shell=bash
# What a build needs of its host. Sourced by `build`.

# Debian's package of the kernel's sources puts this archive there.
kernel_source=/usr/src/linux-source-6.1.tar.xz

# Prints the packages that are missing, told by what they bring, so that another origin of the same tools will do.
missing_packages() {
	local command package missing=()
	while read -r command package; do
		command -v "$command" >/dev/null || missing+=("$package")
	done <<'END'
gcc gcc
ld binutils
make make
flex flex
bison bison
bc bc
patch patch
xz xz-utils
cpio cpio
mke2fs e2fsprogs
END
	[ -r /usr/include/gelf.h ] || missing+=(libelf-dev)
	[ -r "$kernel_source" ] || missing+=(linux-source-6.1)
	static_busybox >/dev/null || missing+=(busybox-static)
	echo "${missing[*]}"
}

# The path of a busybox that needs no shared library: the guest has none.
static_busybox() {
	local path
	path=$(command -v busybox) && command -v readelf >/dev/null || return 1
	if readelf --program-headers --wide "$path" | grep -q INTERP; then return 1; fi
	echo "$path"
}

# provide_packages INSTALL MISSING: installs them if INSTALL is `yes`, else says how.
provide_packages() {
	local line="apt-get update && apt-get install -y --no-install-recommends $2"
	command -v apt-get >/dev/null || fail "missing: $2 (names of Debian's packages), and there is no apt-get here; install what brings them"
	[ "$1" = yes ] || fail "missing: $2
To install them, as root: $line
or run this again with --install-packages."
	[ "$(id -u)" = 0 ] || fail "--install-packages needs root; run: sudo sh -c '$line'"
	stage "installing $2"
	# The lock is often held for a while by unattended upgrades.
	apt-get -o DPkg::Lock::Timeout=300 -qq update || fail "apt-get update failed, see above"
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends $2 >/dev/null ||
		fail "apt-get could not install $2, see above"
}

# A line that changes when the package that owns FILE does.
origin() {
	local package
	if package=$(dpkg-query -S "$1" 2>/dev/null); then
		dpkg-query -W "${package%%:*}"
	else
		stat --dereference --format '%n %s %Y' "$1"
	fi
}

# fresh STAMP INPUTS FILE...: whether every FILE is there and was made from INPUTS.
fresh() {
	local stamp=$1 inputs=$2 file
	shift 2
	for file in "$@"; do
		[ -f "$file" ] || return 1
	done
	[ "$(cat "$stamp" 2>/dev/null)" = "$inputs" ]
}

# publish FILE NAME: puts FILE at NAME at once, so that nobody sees a half-written one.
publish() {
	cp --sparse=always "$1" "$2.new"
	mv "$2.new" "$2"
}
