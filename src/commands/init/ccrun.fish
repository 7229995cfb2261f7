function __ccrun_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    for line in (@CCRUN@ complete (count $words) -- $words $word 2>/dev/null)
        switch $line
            case 'program *'
                set -l first (math (string replace 'program ' '' -- $line) + 1)
                set -l rest (string escape -- $words[$first..-1])
                complete -C (string join ' ' -- $rest $word)
            case programs
                complete "-C$word"
            case 'word *'
                string replace 'word ' '' -- $line
        end
    end
end
complete -c ccrun -e
complete -c ccrun -f -k -a '(__ccrun_complete)'
