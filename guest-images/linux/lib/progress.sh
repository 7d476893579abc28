# shellcheck shell=bash
# What a build says while it works. Sourced by `build`.

# Since when this shell runs, as minutes:seconds.
elapsed() {
	printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60))
}

stage() {
	printf 'linux guest [%s] %s\n' "$(elapsed)" "$1"
}

fail() {
	printf 'linux guest: %s\n' "$1" >&2
	exit 1
}

# Counts the files that kbuild's short output names, from standard input: in place on a terminal, else a line every
# 15 seconds.
count_compiled() {
	local kind count=0 next=$((SECONDS + 15))
	while read -r kind _; do
		case $kind in CC | AS | LD | AR) ((++count)) ;; *) continue ;; esac
		if [ -t 1 ]; then
			printf '\rlinux guest [%s] compiling: %d files ' "$(elapsed)" "$count"
		elif [ "$SECONDS" -ge "$next" ]; then
			stage "compiling: $count files"
			next=$((SECONDS + 15))
		fi
	done
	if [ -t 1 ]; then printf '\r'; fi
	stage "compiled $count files"
}
