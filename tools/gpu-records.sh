#!/bin/sh
# Measures the GPU records of docs/results: 35 minutes on an H100.
#
#   tools/gpu-records.sh FOLDER [RECORD...]     RECORD is h100, h100-sizes, ... [default: all]
#
# RIFE_BENCH: rife-bench built with --features candle-cuda, so that the baseline runs on the GPU.
# BIKES: folder with the first 59 frames of bikes.mp4 (ffmpeg -i bikes.mp4 -frames:v 59 bikes/%03d.png).
# Requires Python with Pillow (to scale the frames) and PyTorch (for the peers). A failed record does
# not affect the others. Kernels are compiled and tuned first unless RIFE_CACHE_DIR (default: the
# user's cache folder) contains them.
set -u
say() { echo "gpu-records: $*" >&2; }
[ $# -gt 0 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2; }
to=$1
shift
all='h100 h100-ablation-f16 h100-ablation-f32 h100-scaling h100-sizes h100-bikes h100-bikes-2 h100-peers video'
for record; do
    case " $all " in
    *" $record "*) ;;
    *) say "unknown record $record: expected one of $all"; exit 2 ;;
    esac
done
# shellcheck disable=SC2086 # names have no spaces
[ $# -gt 0 ] || set -- $all
bench=${RIFE_BENCH:-target/release/rife-bench}
bikes=${BIKES:-bikes}
command -v "$bench" >/dev/null || { say "cannot find $bench; build it or set RIFE_BENCH"; exit 2; }
case " $* " in
*' h100 '* | *bikes*) [ -d "$bikes" ] || { say "cannot find the folder $bikes; create it or set BIKES"; exit 2; } ;;
esac
mkdir -p "$to"

# Scales the clip to 1920x1080, split at its cut.
scale_bikes() {
    [ -d bikes-1 ] || python3 - "$bikes" <<'E'
import os, sys
from PIL import Image
names = sorted(os.listdir(sys.argv[1]))[:59]
for folder, part in (("bikes-2", names[30:]), ("bikes-1", names[:30])):
    if os.path.isdir(folder):
        continue
    os.makedirs(folder + ".part", exist_ok=True)
    for name in part:
        picture = Image.open(os.path.join(sys.argv[1], name)).convert("RGB")
        picture.resize((1920, 1080), Image.BICUBIC).save(os.path.join(folder + ".part", name), compress_level=0)
    os.rename(folder + ".part", folder)
E
}

measure() {
    "$bench" "$@" --device cuda --quiet --overwrite --output "$to/$record.json" >"$to/$record.txt" 2>&1
}

failed=0
for record; do
    since=$(date +%s)
    case $record in
    h100) measure --all --size 1920x1080 --frames 500 --repeats 2 --budget 4 --profile --pictures --quality "$bikes" ;;
    h100-ablation-f16) measure --engine optimized --precision f16 --size 1920x1080 --frames 40 --repeats 2 --budget 2 --warmup 5 --reference optimized-f32 --ablate --mode device,end-to-end ;;
    h100-scaling) measure --engine optimized --precision f16 --size 1920x1080 --frames 40 --repeats 2 --budget 2 --warmup 5 --reference optimized-f32 --scaling --mode device ;;
    h100-ablation-f32) measure --engine optimized --precision f32,tf32 --size 1920x1080 --frames 40 --repeats 2 --budget 2 --warmup 5 --reference optimized-f32 --ablate --mode device ;;
    h100-sizes) measure --engine optimized --size 1280x720,3840x2160 --frames 60 --repeats 2 --mode device,end-to-end --reference optimized-f32 ;;
    h100-bikes) scale_bikes && measure --all --input bikes-1 --frames 29 --repeats 1 --warmup 1 --mode latency --budget 4 ;;
    h100-bikes-2) scale_bikes && measure --engine optimized --precision f16,tf32 --input bikes-2 --frames 28 --repeats 1 --warmup 1 --mode latency --budget 4 --reference optimized-f32 ;;
    h100-peers) measure --engine optimized --precision f32,tf32,f16 --size 1920x1080 --frames 60 --repeats 1 --budget 6 --warmup 5 --mode device --reference optimized-f32 --peers ;;
    video) "$bench" video --json "$to/h100-video.json" >"$to/video.txt" 2>&1 ;;
    *) false ;;
    esac
    status=$?
    echo "$record: status $status, $(($(date +%s) - since)) s"
    [ $status -eq 0 ] || { failed=1; say "$record failed; see $to/$record.txt"; }
done
exit $failed
