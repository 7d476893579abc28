# shellcheck shell=bash
# The kernel: unpacked, configured, compiled, checked. Sourced by `build`, after lib/requirements.sh.
#
# shellcheck disable=SC2154 # `here` and `kernel_source` are the sourcing script's

# make_kernel OUT VARIANT
make_kernel() {
	local out=$1 variant=$2 inputs work products=(vmlinux)
	[ "$variant" = ordinary ] && products=(vmlinux-ordinary bzImage-ordinary)
	inputs=$(kernel_inputs "$variant")
	if fresh "$out/.kernel-$variant.inputs" "$inputs" "${products[@]/#/$out/}"; then
		stage "kernel for $variant hosts: up to date"
		return
	fi
	work=$out/work-$variant
	if [ "$(cat "$work/.prepared" 2>/dev/null)" = "$inputs" ]; then
		stage "going on with the interrupted build in $work"
	else
		rm -rf "$work"
		mkdir "$work"
		unpack_kernel "$work"
		[ "$variant" = ordinary ] || patch_kernel "$work"
		configure_kernel "$work" "$variant"
		echo "$inputs" >"$work/.prepared"
	fi
	compile_kernel "$work" "$variant"
	publish_kernel "$work" "$out" "$variant"
	echo "$inputs" >"$out/.kernel-$variant.inputs"
	stage "made ${products[*]}; removing $(du -sh "$work" | cut -f1) of sources and objects"
	rm -rf "$work"
}

# What the kernel depends on, a line each; another text means another build.
kernel_inputs() {
	origin "$kernel_source"
	echo "gcc $(gcc -dumpfullversion)"
	cat "$here/kernel.config" "$here/$1.config" "$here/lib/kernel.sh" "$here/lib/unused-sources" | sha256sum
	[ "$1" = ordinary ] || sha256sum <"$here/emulated-ring0.patch"
}

unpack_kernel() {
	stage "unpacking $kernel_source (about 0.5 GiB)"
	tar --extract --file "$kernel_source" --directory "$1" --strip-components 1 --exclude-from "$here/lib/unused-sources" ||
		fail "cannot unpack $kernel_source into $1: see above; is the disk full?"
}

patch_kernel() {
	stage "patching for emulated ring 0"
	patch --directory "$1" --strip 1 --silent --fuzz 0 <"$here/emulated-ring0.patch" ||
		fail "emulated-ring0.patch does not fit $(origin "$kernel_source" | tr '\t' ' '); it was made for 6.1.192"
}

configure_kernel() {
	local log=$1/configure.log wanted=("$here/kernel.config" "$here/$2.config")
	stage "configuring"
	if ! {
		make --directory "$1" tinyconfig &&
			"$1/scripts/kconfig/merge_config.sh" -m -O "$1" "$1/.config" "${wanted[@]}" &&
			make --directory "$1" olddefconfig
	} >"$log" 2>&1; then
		tail -n 10 "$log" >&2
		fail "the kernel cannot be configured; the whole log is $log"
	fi
	check_configuration "$1" "${wanted[@]}"
}

# check_configuration SOURCES WANTED...: Kconfig drops in silence what it does not know or whose needs are not met.
check_configuration() {
	local sources=$1 line option known lost=()
	shift
	known=$(cd "$sources" && find . -name 'Kconfig*' -exec sed -nE 's/^[[:space:]]*(menu)?config ([A-Z0-9_a-z]+)$/\2/p' {} +)
	while read -r line; do
		option=$(grep -oE '^(# )?CONFIG_[A-Z0-9_a-z]+' <<<"$line") || continue
		option=${option#\# }
		if ! grep -qxF "${option#CONFIG_}" <<<"$known"; then
			lost+=("$line (this kernel has no such option)")
		elif [ "${line:0:1}" = '#' ]; then
			if grep -q "^$option=" "$sources/.config"; then lost+=("$line (something else needs it)"); fi
		elif ! grep -qxF "$line" "$sources/.config"; then
			lost+=("$line (its needs are not met)")
		fi
	done < <(cat "$@")
	if [ ${#lost[@]} != 0 ]; then
		fail "the kernel's configuration did not take these lines of $*:
$(printf '  %s\n' "${lost[@]}")"
	fi
}

compile_kernel() {
	local work=$1 log=$1/build.log targets=(vmlinux)
	[ "$2" = ordinary ] && targets=(vmlinux bzImage)
	stage "compiling the kernel, 2 to 6 minutes on two processors"
	# The same sources make the same kernel, wherever and whenever.
	export KBUILD_BUILD_USER=ringfence KBUILD_BUILD_HOST=guest-images KBUILD_BUILD_TIMESTAMP='Thu Jan 1 00:00:00 UTC 1970'
	if ! nice make --directory "$work" --jobs "$(nproc)" "${targets[@]}" 2>&1 | tee "$log" | count_compiled; then
		tail -n 25 "$log" >&2
		fail "the kernel did not compile; the whole log is $log"
	fi
}

publish_kernel() {
	case $3 in
	ordinary)
		publish "$1/vmlinux" "$2/vmlinux-ordinary"
		publish "$1/arch/x86/boot/bzImage" "$2/bzImage-ordinary"
		;;
	*) publish "$1/vmlinux" "$2/vmlinux" ;;
	esac
}
