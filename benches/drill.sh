# A drill as a person would script it: sh drill.sh URL CONTAINER. The waits are those of a drill whose scenario says nothing else.
url=$1 name=$2 next=$(date +%s%N)
tick() {
    next=$((next + 500000000)); left=$((next - $(date +%s%N)))
    if [ $left -gt 0 ]; then sleep "$(printf '0.%09d' $left)"; fi
}
look() { curl -s -f -o /dev/null -m 5 "$url"; }
sleep 0.8
good=0
while [ $good -lt 6 ]; do if look; then good=$((good + 1)); else good=0; fi; tick; done
kill -9 "$(docker inspect -f '{{.State.Pid}}' "$name")"
killed=$(date +%s%N); good=0 failed=
until [ $good -ge 3 ] && { [ $failed ] || [ $(($(date +%s%N) - killed)) -ge 3000000000 ]; }; do
    if look; then good=$((good + 1)); else good=0 failed=yes; fi
    tick
done
back=$(date +%s%N)
while [ $(($(date +%s%N) - back)) -lt 5000000000 ]; do look; tick; done
