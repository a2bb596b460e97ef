# Runs inside the build root: compiles TFLite's benchmark_model and gathers the libraries it needs.
#   sh compile_runner.sh TRIPLE LOADER
# /src is the source of TensorFlow, /out receives TRIPLE/benchmark_model and TRIPLE/lib/.
set -eu
triple=$1 loader=$2
tflite=tensorflow/lite
libraries=/usr/lib/$triple
out=/out/$triple
# Where the device has them: its own C library is older than the one this is linked with.
home=/opt/tflite/lib
mkdir -p "$out/lib"
cd /src

# Few big units instead of 25 small files: nearly all the time goes into headers that all of them include.
unit() {
    name=$1
    shift
    printf '#include "%s"\n' "$@" >"$out/$name.cc"
    "$triple-g++" -std=c++17 -O2 -w -DTFLITE_WITHOUT_XNNPACK -include cstdint -I. -I/usr/include/eigen3 \
        -I/usr/include/gemmlowp -c "$out/$name.cc" -o "$out/$name.o"
}
unit benchmark \
    $tflite/tools/benchmark/benchmark_main.cc \
    $tflite/tools/benchmark/benchmark_model.cc \
    $tflite/tools/benchmark/benchmark_performance_options.cc \
    $tflite/tools/benchmark/benchmark_tflite_model.cc \
    $tflite/tools/benchmark/benchmark_utils.cc \
    $tflite/tools/benchmark/profiling_listener.cc &
benchmark=$!
unit tools \
    tensorflow/tsl/util/stats_calculator.cc \
    $tflite/kernels/internal/utils/sparsity_format_converter.cc \
    $tflite/profiling/memory_info.cc \
    $tflite/profiling/memory_usage_monitor.cc \
    $tflite/profiling/profile_buffer.cc \
    $tflite/profiling/profile_summarizer.cc \
    $tflite/profiling/profile_summary_formatter.cc \
    $tflite/profiling/root_profiler.cc \
    $tflite/profiling/telemetry/profiler.cc \
    $tflite/profiling/telemetry/telemetry.cc \
    $tflite/profiling/time.cc \
    $tflite/tools/command_line_flags.cc \
    $tflite/tools/delegates/default_execution_provider.cc \
    $tflite/tools/delegates/delegate_provider.cc \
    $tflite/tools/delegates/external_delegate_provider.cc \
    $tflite/tools/evaluation/utils.cc \
    $tflite/tools/model_loader.cc \
    $tflite/tools/tool_params.cc \
    $tflite/tools/utils.cc
wait $benchmark

"$triple-g++" -s -Wl,--as-needed "$out/benchmark.o" "$out/tools.o" -o "$out/benchmark_model" \
    "-Wl,--dynamic-linker=$home/$loader" "-Wl,-rpath,$home" -Wl,--disable-new-dtags \
    -ltensorflow-lite "$libraries"/libabsl_*.so.[0-9]* -lpthread -ldl

needed() { "$triple-objdump" -p "$1" | sed -n 's/^ *NEEDED *//p'; }
cp -L "$libraries/$loader" "$out/lib/"
# Until nothing new is needed by what is there.
todo=$(needed "$out/benchmark_model")
while [ -n "$todo" ]; do
    next=
    for name in $todo; do
        [ -e "$out/lib/$name" ] && continue
        cp -L "$libraries/$name" "$out/lib/"
        next="$next $(needed "$out/lib/$name")"
    done
    todo=$next
    set -- $todo
    todo=$*
done
rm "$out"/*.cc "$out"/*.o
