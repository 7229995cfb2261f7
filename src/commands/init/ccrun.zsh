_ccrun() {
  local line word
  local -a found
  while IFS= read -r line; do
    case $line in
      'program '*)
        shift ${line#program } words
        (( CURRENT -= ${line#program } ))
        _normal
        return
        ;;
      programs) _command_names -e ;;
      'word '*)
        line=${line#word }
        word=${line%%$'\t'*}
        found+=("${word//:/\\:}:${line#*$'\t'}")
        ;;
    esac
  done < <(@CCRUN@ complete $((CURRENT - 1)) -- "${words[@]}" 2>/dev/null)
  _describe -V ccrun found
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -D }
# As a file in $fpath, this is the function itself, and zsh calls it for the first completion.
if [[ ${funcstack[1]} == _ccrun ]]; then
  _ccrun "$@"
else
  compdef _ccrun ccrun
fi
