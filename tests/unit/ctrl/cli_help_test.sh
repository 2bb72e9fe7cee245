#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The credgate program as it was built: every verb explains itself, refuses options it does not
# have, and the pages in docs/ and the shell's completion are those of this very program.
# Usage: cli_help_test.sh CREDGATE SOURCE_ROOT
set -u
credgate=$1
source=$2
failed=0

bad()
{
	echo "not so: $*" >&2
	failed=1
}

# exits CODE COMMAND...: its output is kept in $out, its errors in $err.
exits()
{
	wanted=$1
	shift
	out=$("$@" 2>"$errors" </dev/null)
	got=$?
	err=$(cat "$errors")
	[ "$got" -eq "$wanted" ] || bad "exit $got instead of $wanted: $*"
}

errors=$(mktemp) || exit 1
words=$(mktemp) || exit 1
page=$(mktemp) || exit 1
trap 'rm -f "$errors" "$words" "$page"' EXIT

"$credgate" help --words >"$words" || bad "help --words fails"
[ "$(wc -l <"$words")" -ge 17 ] || bad "there are only $(wc -l <"$words") verbs"
while read -r verb; do
	# shellcheck disable=SC2086 # a verb may be two words
	exits 0 "$credgate" $verb --help
	case $out in
	"Usage: credgate $verb"*) ;;
	*) bad "$verb --help does not begin with its usage" ;;
	esac
	[ -z "$err" ] || bad "$verb --help speaks on standard error"
	help=$out
	# shellcheck disable=SC2086
	exits 0 "$credgate" help $verb
	[ "$out" = "$help" ] || bad "help $verb differs from $verb --help"
	case $verb in
	run | demo) continue ;; # their options belong to other programs
	esac
	# shellcheck disable=SC2086
	exits 2 "$credgate" $verb --no-such-option
	[ -z "$out" ] || bad "$verb speaks on standard output about a wrong option"
	# shellcheck disable=SC2086
	for option in $("$credgate" help --words $verb); do
		case $help in
		*"$option"*) ;;
		*) bad "$verb --help has no $option" ;;
		esac
	done
done <"$words"

exits 0 "$credgate" --help
while read -r verb; do
	printf '%s\n' "$out" | grep -q "^  $verb  " || bad "--help does not list $verb"
done <"$words"
[ "$(printf '%s\n' "$out" | grep -c '^[A-Z][^:]*:$')" -ge 10 ] || bad "--help lacks headings"
exits 0 "$credgate" --version
exits 2 "$credgate"
exits 2 "$credgate" no-such-verb
exits 2 "$credgate" node
exits 1 "$credgate" status --run-dir /nonexistent

# What was printed has to arrive.
if [ -w /dev/full ]; then
	"$credgate" verdicts >/dev/full 2>"$errors" && bad "verdicts is content with a full disk"
fi

exits 0 "$credgate" help --markdown
"$credgate" help --markdown >"$page"
cmp -s "$page" "$source/docs/man/credgate.1.md" ||
	bad "docs/man/credgate.1.md is old: credgate help --markdown > docs/man/credgate.1.md"

"$credgate" help --roff >"$page"
if command -v groff >/dev/null; then
	[ -z "$(groff -man -ww -z "$page" 2>&1)" ] || bad "groff: $(groff -man -ww -z "$page" 2>&1)"
fi

# Completion: verbs, the second word of two, options of a verb.
completion=$source/ctrl/cli/credgate.bash-completion
if command -v bash >/dev/null; then
	candidates()
	{
		bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _credgate
			echo "${COMPREPLY[@]}"' bash "$completion" "$credgate" "$@"
	}
	[ "$(candidates st)" = "status" ] || bad "completion of st: $(candidates st)"
	[ "$(candidates node rev)" = "revoke" ] || bad "completion of node rev"
	[ "$(candidates node rot)" = "rotate" ] || bad "completion of node rot"
	[ "$(candidates node de)" = "delete" ] || bad "completion of node de"
	[ "$(candidates realm '')" = "init list mode would rotate drain retire rollback" ] ||
		bad "completion of realm"
	[ "$(candidates node add lab --su)" = "--suite" ] || bad "completion of --su"
	[ "$(candidates sign req)" = "require" ] || bad "completion of sign req"
	[ "$(candidates node list lab --state su)" = "suspended" ] || bad "completion of --state su"
	[ "$(candidates members --state si)" = "silent" ] || bad "completion of --state si"
	[ "$(candidates realm mode lab pe)" = "permissive" ] || bad "completion of realm mode"
	[ "$(candidates realm would lab --ignore rep)" = "replayed" ] || bad "completion of --ignore"
	[ "$(candidates send --ti)" = "--timeout" ] || bad "completion of --ti"
fi
exit "$failed"
