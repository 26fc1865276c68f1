# A small campaign on a machine where crowdteach's packages are installed, and an audit of it:
# scripts/package-test runs it as root inside its bare machine. The coordinator is run by its own
# user in its own home, as the service would; owner, teachers and auditor are user 1000.
set -euo pipefail

example=/usr/share/doc/crowdteach/examples/breast-cancer
home=/var/lib/crowdteach
people=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$people"' EXIT
chown 1000:1000 "$people"
person() { HOME=$people setpriv --reuid=1000 --regid=1000 --clear-groups "$@"; }
fail() { echo "package_campaign: $1" >&2; tail -v -n 5 "$people"/*.log >&2 || true; exit 1; }

# As the unit says: its command line, without the options that nobody has set here.
read -ra serve < <(sed -n 's/^ExecStart=\(.*\) \$CROWDTEACHD_OPTIONS$/\1/p' \
  /usr/lib/systemd/system/crowdteachd.service)
setpriv --reuid=crowdteach --regid=crowdteach --clear-groups "${serve[@]}" \
  >"$people/coordinator.log" 2>&1 &
coordinator=$!
for _ in $(seq 300); do
  [[ ! -s $home/addresses ]] || break
  kill -0 "$coordinator" 2>/dev/null || fail "the coordinator did not start"
  sleep 0.1
done

operator() { crowdteachd "$1" --home "$home" "${@:2}"; }
operator issue --to operator --amount 2000 --reference stakes
operator invite --role teacher --uses 2 --stake 1000 -o "$people/teacher.invite"
operator invite --role owner -o "$people/owner.invite"
operator invite --role auditor -o "$people/auditor.invite"
chown 1000:1000 "$people"/*.invite

owner() { person crowdteach "$1" --home "$people/owner" "${@:2}"; }
owner join --name olga --invite "$people/owner.invite"
operator issue --to olga --amount 10000 --reference budget
owner launch "$example/campaign.toml" --set rounds=2 --set 'dispute="1s"'
teachers=()
for number in 1 2; do
  person crowdteach teach --yes --home "$people/teacher-$number" --name "teacher-$number" \
    --invite "$people/teacher.invite" --data "$example/train.csv" --shard "$number/2" \
    >"$people/teacher-$number.log" 2>&1 &
  teachers+=($!)
done
timeout 120 setpriv --reuid=1000 --regid=1000 --clear-groups \
  crowdteach watch --home "$people/owner" --until ended || fail "the campaign did not end"
owner close --until refunded || fail "the campaign was not settled"
for teacher in "${teachers[@]}"; do wait "$teacher" || fail "a teacher failed"; done

audit() { person crowdteach-audit "$1" "${@:2}"; }
audit fetch --invite "$people/auditor.invite" --home "$people/vera" -o "$people/evidence" --artifacts
audit verify "$people/evidence" --key "$people/auditor.invite" || fail "the audit failed"
audit report "$people/evidence" --key "$people/auditor.invite" -o "$people/report.html"
settled=$(audit show "$people/evidence" --key "$people/auditor.invite" | grep -cE '^ +[0-9]+ +settled ' || true)
((settled == 2)) || fail "$settled rounds were settled, not 2"

kill "$coordinator"
wait "$coordinator" || fail "the coordinator failed"
