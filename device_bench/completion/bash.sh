# Completion of `make` and `python -m models|export|device_bench` in a clone of the toolchain, for this bash.
_mobile_deploy() {
    local line=${COMP_LINE:0:COMP_POINT} word IFS=$'\n'
    COMPREPLY=()
    # Elsewhere, and where nothing is known: names of files.
    [[ -x .venv/bin/python && -d device_bench ]] || return 0
    COMPREPLY=($(.venv/bin/python -m device_bench complete "$line" 2>/dev/null))
    # bash replaces only what follows the last of its word breaks.
    word=${line##*[[:space:]]}
    if [[ $COMP_WORDBREAKS == *=* && $word == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
    fi
    # `MODEL=` waits for its value. bash 3.2 of macOS has no compopt, and adds a blank.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && type compopt >/dev/null 2>&1; then
        compopt -o nospace
    fi
}
complete -o bashdefault -o default -F _mobile_deploy make python python3
