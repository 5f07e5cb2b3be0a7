#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Each verb of sentryctl has a help, a place in sentryctl(1) and in the completions of bash and zsh; so has each option.

. "${srcdir:-.}/tests/lib/tap.sh"

bash_completion=$srcdir/ctl/completion/sentryctl.bash
zsh_completion=$srcdir/ctl/completion/_sentryctl
man=$srcdir/man/sentryctl.1

options_of() { sed -nE '/^Options:/,/^$/s/^ +(-[a-zA-Z] )? *--([a-z0-9-]+).*/\2/p'; } # a help's, on stdin
verbs=$("$SENTRYCTL" --help | sed -nE 's/^  ([a-z-]+)  +[A-Z].*/\1/p; s/^  More: +//p' | xargs)
contains " $verbs " " log-level " "there are verbs: $verbs"
common=$("$SENTRYCTL" version --help | options_of | sort -u)
contains "$common" no-pager "there are options for all of them: $(xargs <<<"$common")"

missing=
for verb in $verbs; do
        help=$("$SENTRYCTL" "$verb" --help 2>&1) || missing+=" $verb: --help fails"
        [[ $help == "Usage: sentryctl $verb "* ]] || missing+=" $verb: the help does not begin with its usage"
        grep -qE "^\.It Cm $verb( |$)|^\.It Cm .*\b$verb\b" "$man" || missing+=" $verb: not in sentryctl(1)"
        grep -qE "^ +local verbs='.*\b$verb\b" "$bash_completion" || missing+=" $verb: not in bash's"
        grep -qE "^ +'$verb:" "$zsh_completion" || missing+=" $verb: not in zsh's"
        for option in $(options_of <<<"$help"); do
                grep -qE "Fl -$option( |\$)" "$man" || missing+=" $verb: --$option is not in sentryctl(1)"
                grep -qE -- "--$option\b" "$bash_completion" || missing+=" $verb: --$option is not in bash's"
                grep -qE -- "--$option\b" "$zsh_completion" || missing+=" $verb: --$option is not in zsh's"
        done
done
is "$missing" '' "each verb and option has its help, its place in the manual page and in the completions"

# ---- bash's at work

complete_bash() { # WORD…: what there is for the last
        bash -c '. "$1"; shift
                compopt() { :; }
                COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
                _sentryctl
                printf "%s\n" "${COMPREPLY[@]}"' bash "$bash_completion" sentryctl "$@" | sort
}
sentryctl_directory=$(dirname "$SENTRYCTL")
PATH=$sentryctl_directory:$PATH
is "$(complete_bash '' | xargs)" "$(tr ' ' '\n' <<<"$verbs" | sort | xargs)" "bash: all verbs"
is "$(complete_bash pa)" pause "bash: the rest of a verb"
contains "$(complete_bash run --)" --profile= "bash: options of a verb"
contains "$(complete_bash run --)" --no-pager "bash: … and those of all"
contains "$(complete_bash signal box SIGT)" SIGTERM "bash: signals"
contains "$(complete_bash syscalls una)" uname "bash: system calls"
is "$(complete_bash run --network = p)" private "bash: values"

# ---- zsh's

if command -v zsh >/dev/null; then
        check "zsh: it can be read" zsh -n "$zsh_completion"
        # With the functions that completion consists of, it is loaded and has its parts.
        is "$(zsh -fc 'fpath=('"${zsh_completion%/*}"' $fpath); autoload -Uz compinit; compinit -D -u
                print -r -- ${_comps[sentryctl]}' 2>&1)" _sentryctl "zsh: it is found for sentryctl"
else
        skip "zsh: it can be read" "zsh is not installed"
fi

done_testing
