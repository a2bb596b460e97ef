# Completion of `make` and `python -m models|export|device_bench` in a clone of the toolchain, for this zsh.
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_mobile_deploy() {
    local -a found
    if [[ -x .venv/bin/python && -d device_bench ]]; then
        found=(${(f)"$(.venv/bin/python -m device_bench complete "$LBUFFER" 2>/dev/null)"})
    fi
    # Elsewhere, and where nothing is known: names of files.
    (( $#found )) || { _files; return }
    compadd -- ${found:#*=}
    # `MODEL=` waits for its value.
    compadd -S '' -- ${(M)found:#*=}
}
compdef _mobile_deploy make python python3
