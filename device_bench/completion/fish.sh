# Completion of `make` and `python -m models|export|device_bench` in a clone of the toolchain, for this fish.
function __mobile_deploy
    if test -x .venv/bin/python; and test -d device_bench
        .venv/bin/python -m device_bench complete (commandline -cp | string collect) 2>/dev/null
    end
end
for program in make python python3
    complete --command $program --arguments '(__mobile_deploy)'
end
