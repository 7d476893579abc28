# shellcheck shell=bash
# The user space: busybox, the programs of programs/ and rootfs/, as an initrd and as a disk. Sourced by `build`, after lib/requirements.sh.
#
# shellcheck disable=SC2154 # `here` is the sourcing script's

# make_user_space OUT
make_user_space() {
	local out=$1 inputs work
	inputs=$(user_space_inputs)
	if fresh "$out/.user-space.inputs" "$inputs" "$out/initrd.cpio" "$out/rootfs.ext4"; then
		stage "user space: up to date"
		return
	fi
	work=$out/work-user-space
	rm -rf "$work"
	mkdir "$work"
	fill_root "$work/root"
	make_initrd "$work/root" "$work/initrd.cpio"
	make_disk "$work/root" "$work/rootfs.ext4"
	publish "$work/initrd.cpio" "$out/initrd.cpio"
	publish "$work/rootfs.ext4" "$out/rootfs.ext4"
	echo "$inputs" >"$out/.user-space.inputs"
	rm -rf "$work"
	stage "made initrd.cpio and rootfs.ext4"
}

user_space_inputs() {
	sha256sum <"$(static_busybox)"
	mke2fs -V 2>&1 | head -n 1
	gcc --version | head -n 1
	(cd "$here" && find rootfs programs lib/user-space.sh -type f | LC_ALL=C sort | xargs sha256sum)
}

# The shell runs busybox' programs without links to them, so only what the kernel or a script names has one.
fill_root() {
	mkdir "$1"
	cp -r "$here/rootfs/." "$1"
	mkdir -p "$1"/{bin,dev,proc,root,sys,tmp}
	cp "$(static_busybox)" "$1/bin/busybox"
	ln -s busybox "$1/bin/sh"
	make_programs "$1/bin"
	chmod -R u=rwX,go=rX "$1"
	chmod 755 "$1/init" "$1"/bin/*
	chmod 1777 "$1/tmp"
	# One time for all files: the same inputs make the same bytes.
	find "$1" -exec touch --no-dereference --date @0 {} +
}

# make_programs DIR: those that busybox has not, without a C library: a few kilobytes each.
make_programs() {
	local source program
	for source in "$here"/programs/*.c; do
		program=$1/$(basename "$source" .c)
		gcc -nostdlib -static -ffreestanding -fno-stack-protector -fno-pie -no-pie -Os -Wall -Wextra -Werror -Wl,--build-id=none,--strip-all \
			-o "$program" "$source"
	done
}

# Uncompressed: unpacking costs 16 seconds a megabyte where ring 0 is emulated. /dev/console comes from the kernel's
# own built-in root, which the initrd is laid over.
make_initrd() {
	(cd "$1" && find . | LC_ALL=C sort | cpio --create --format newc --owner 0:0 --reproducible --quiet) >"$2"
}

# Filled without mounting, so no privilege is needed. No journal and no checksums: each is work in the guest's ring 0.
make_disk() {
	truncate --size 32M "$2"
	mke2fs -q -F -t ext4 -O '^has_journal,^metadata_csum,^64bit' -E root_owner=0:0 -L ringfence-guest -d "$1" "$2"
}
