# shellcheck shell=bash
_ccrun() {
  local line word=${COMP_WORDS[COMP_CWORD]} at=0 index
  local -a words=()
  # Bash splits words at `=`; join them again.
  for index in "${!COMP_WORDS[@]}"; do
    if [[ ${COMP_WORDS[index]} == '=' && $index -gt 0 ]]; then
      (( index != COMP_CWORD )) || word=
      continue
    fi
    words+=("${COMP_WORDS[index]}")
    (( index > COMP_CWORD )) || at=$((${#words[@]} - 1))
  done
  if [[ ${COMP_WORDS[COMP_CWORD]} == '=' ]]; then
    words=("${words[@]:0:at+1}" '')
    at=$((at + 1))
  fi
  COMPREPLY=()
  # Keep the order, which starts with the most likely words. The option needs bash 4.4.
  compopt -o nosort 2>/dev/null
  while IFS= read -r line; do
    case $line in
      'program '*)
        if declare -F _comp_command_offset >/dev/null; then
          _comp_command_offset "${line#program }"
        elif declare -F _command_offset >/dev/null; then
          _command_offset "${line#program }"
        else
          compopt -o default
        fi
        return
        ;;
      programs) while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -c -- "$word") ;;
      'word '*)
        line=${line#word }
        COMPREPLY+=("${line%%$'\t'*}")
        ;;
    esac
  done < <(@CCRUN@ complete "$at" -- "${words[@]}" 2>/dev/null)
}
complete -F _ccrun ccrun
