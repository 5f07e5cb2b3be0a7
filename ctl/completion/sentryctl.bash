# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Completion of sentryctl(1) for bash.

__sentryctl_sandboxes() {
        command sentryctl "$@" --quiet --no-legend list 2>/dev/null | while read -r name _; do printf '%s\n' "$name"; done
}

__sentryctl_profiles() {
        command sentryctl "$@" --quiet --no-legend profile list 2>/dev/null | while read -r name _; do printf '%s\n' "$name"; done
}

__sentryctl_services() {
        command systemctl --no-legend --no-pager --plain list-unit-files '*.service' 2>/dev/null |
                while read -r name _; do [[ $name == *@.service ]] || printf '%s\n' "$name"; done
}

__sentryctl_syscalls() {
        command sentryctl --no-legend syscalls 2>/dev/null | while read -r name _; do printf '%s\n' "$name"; done
}

_sentryctl() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        local common='--help --version --user --system --json= --no-legend --columns= --no-pager --quiet'
        local verbs='run restore exec start list status show ps top fds sockets mounts namespaces ipc cgroups timers clock image kill wait pause resume save signal dmesg events syscalls trace profile log-level harden version'
        local takes_value='^(-n|-p|-E|-s|-c|-e|-d|--expression|--count|--interval|--name|--profile|--hostname|--bind|--ro-bind|--tmpfs|--chdir|--env|--unsetenv|--pid|--network|--users|--capabilities|--argv0|--status|--property|--sandbox|--class|--whom|--id|--value|-u|-l|--cwd|--container|--user|--umask|--limit|--fd|--hold|--stdio|--columns)$'
        local verb='' verb_index=0 arguments=0 i word words='' option='' value
        local -a daemon=()

        COMPREPLY=()

        # "--option=value" comes as three words: "=" breaks words.
        if [[ $cur == = ]]; then
                option=$prev cur=''
        elif [[ $prev == = ]] && ((COMP_CWORD >= 2)); then
                option=${COMP_WORDS[COMP_CWORD - 2]}
        elif [[ $prev =~ $takes_value ]]; then
                option=$prev
        fi

        for ((i = 1; i < COMP_CWORD; i++)); do
                word=${COMP_WORDS[i]}
                case $word in
                        --user | --system) daemon=("$word") ;;&
                        --) ((arguments++)) ;;
                        -* | =) ;;
                        *)
                                value=${COMP_WORDS[i - 1]}
                                if [[ $value == = || $value =~ $takes_value ]]; then
                                        continue
                                elif [[ -z $verb ]]; then
                                        verb=$word verb_index=$i
                                else
                                        ((arguments++))
                                fi
                                # What follows a program is the program's.
                                if [[ ($verb == run && $arguments -ge 1) || ($verb == exec && $arguments -ge 2) ]]; then
                                        declare -F _command_offset >/dev/null && _command_offset "$i"
                                        return 0
                                fi
                                ;;
                esac
                if [[ $word == -- && $verb == run ]]; then
                        declare -F _command_offset >/dev/null && _command_offset $((i + 1))
                        return 0
                fi
        done

        case $option in
                --json) words='short pretty off' ;;
                --pid) words='private host' ;;
                --network) words='none private host' ;;
                --users) words='single range host' ;;
                --whom | -w)
                        [[ $verb == signal ]] && words='init all leader group pgrp task container'
                        ;;
                --class | -c) words='native emulated mediated refused denied' ;;
                --profile) words=$(__sentryctl_profiles "${daemon[@]}") ;;
                -p)
                        [[ $verb == run || $verb == harden ]] && words=$(__sentryctl_profiles "${daemon[@]}")
                        ;;
                --expression | -e) words="%emulated %mediated %refused %unknown $(__sentryctl_syscalls)" ;;
                --sandbox | -s) words=$(__sentryctl_sandboxes "${daemon[@]}") ;;
                --env | -E | --unsetenv) words=$(compgen -e) ;;
                --bind | --ro-bind)
                        compopt -o filenames
                        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                        return 0
                        ;;
                --tmpfs | --chdir | --cwd)
                        compopt -o filenames
                        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
                        return 0
                        ;;
                -*) [[ $option == --quiet || -z $option ]] || return 0 ;;
        esac

        if [[ -z $option ]]; then
                if [[ $cur == -* ]]; then
                        case $verb in
                                run)
                                        words='--name= --profile= --hostname= --bind= --ro-bind= --tmpfs= --chdir= --env=
                                                --unsetenv= --clearenv --init --pid= --network= --users= --capabilities= --argv0= --in-place'
                                        ;;
                                restore) words='--name= --detach --lazy --stdio=' ;;
                                save) words='--leave-running --compress --compress= --tcp=' ;;
                                exec)
                                        words='--env= --cwd= --container= --user= --umask= --limit= --fd= --hold='
                                        ;;
                                harden) words='--profile= --pid= --dry-run --undo' ;;
                                show) words='--property= --value' ;;
                                ps) words='--threads --tree --credentials' ;;
                                top) words='--batch --count= --interval=' ;;
                                kill) words='--status= --wait' ;;
                                signal) words='--whom= --id= --value=' ;;
                                trace) words='--container= --expression= --times' ;;
                                syscalls) words='--sandbox= --class= --stats' ;;
                        esac
                        words="$words $common"
                else
                        case $verb in
                                '') words=$verbs ;;
                                run) words=$(compgen -c -- "$cur" | sort -u) ;;
                                exec)
                                        if ((arguments == 0)); then
                                                words=$(__sentryctl_sandboxes "${daemon[@]}")
                                        else
                                                words=$(compgen -c -- "$cur" | sort -u)
                                        fi
                                        ;;
                                image)
                                        if ((arguments == 0)); then
                                                words='show check diff'
                                        else
                                                compopt -o filenames 2>/dev/null
                                                mapfile -t COMPREPLY < <(compgen -d -- "$cur")
                                                return 0
                                        fi
                                        ;;
                                save)
                                        if ((arguments == 0)); then
                                                words=$(__sentryctl_sandboxes "${daemon[@]}")
                                        else
                                                compopt -o filenames 2>/dev/null
                                                mapfile -t COMPREPLY < <(compgen -d -- "$cur")
                                                return 0
                                        fi
                                        ;;
                                restore)
                                        if ((arguments == 0)); then
                                                compopt -o filenames 2>/dev/null
                                                mapfile -t COMPREPLY < <(compgen -d -- "$cur")
                                                return 0
                                        fi
                                        ;;
                                harden)
                                        ((arguments == 0)) && words=$(__sentryctl_services)
                                        ;;
                                start | status | show | ps | top | fds | sockets | mounts | namespaces | ipc | cgroups | wait | dmesg | events | trace | timers | clock)
                                        ((arguments == 0)) && words=$(__sentryctl_sandboxes "${daemon[@]}")
                                        ;;
                                signal)
                                        if ((arguments == 0)); then
                                                words=$(__sentryctl_sandboxes "${daemon[@]}")
                                        elif ((arguments == 1)); then
                                                words=$(compgen -A signal)
                                        fi
                                        ;;
                                kill | pause | resume) words=$(__sentryctl_sandboxes "${daemon[@]}") ;;
                                syscalls) ((arguments == 0)) && words=$(__sentryctl_syscalls) ;;
                                profile)
                                        case ${COMP_WORDS[verb_index + 1]} in
                                                check)
                                                        compopt -o filenames
                                                        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                                                        return 0
                                                        ;;
                                                show)
                                                        ((arguments == 1)) && words=$(__sentryctl_profiles "${daemon[@]}")
                                                        ;;
                                        esac
                                        ((arguments == 0)) && words='check list show'
                                        ;;
                        esac
                fi
        fi

        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
        return 0
}

complete -F _sentryctl sentryctl
