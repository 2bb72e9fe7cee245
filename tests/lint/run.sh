#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs every lint; prints "ok NAME" or "FAILED NAME" for each, exits 1 if one failed.
set -uo pipefail
cd "$(dirname "$0")/../.."

failed=0
check() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "ok lint: $name"
	else
		echo "FAILED lint: $name"
		printf '%s\n' "$out" | head -40 | sed 's/^/    /'
		failed=1
	fi
}

sources() {
	git ls-files --cached --others --exclude-standard -- "$@"
}

format() {
	sources '*.c' '*.h' '*.cc' | xargs clang-format-14 --dry-run -Werror
}

licence() {
	local bad
	bad=$(sources '*.c' '*.h' '*.cc' '*.py' '*.sh' '*.build' Makefile .ci/run |
		xargs grep -L 'SPDX-License-Identifier: BSD-3-Clause')
	[ -z "$bad" ] || { echo "no SPDX line in:"; echo "$bad"; return 1; }
}

shells() {
	local file status=0
	while read -r file; do
		bash -n "$file" || status=1
	done < <(sources '*.sh' .ci/run)
	return $status
}

pythons() {
	sources '*.py' | xargs python3 -c \
		'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]'
}

check "format (clang-format 14)" format
check "include arrows between folders" tests/lint/arrows.py
check "forbidden tokens by folder" tests/lint/tokens.py
check "every threat is attacked by a test" tests/lint/threats.py
check "licence lines" licence
check "shell scripts parse" shells
check "python scripts parse" pythons
exit $failed
