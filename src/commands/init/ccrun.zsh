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
  _describe ccrun found
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -D }
# As a file in $fpath it is this function, and is called for the first word already.
if [[ ${funcstack[1]} == _ccrun ]]; then
  _ccrun "$@"
else
  compdef _ccrun ccrun
fi
