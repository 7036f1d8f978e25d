#!/bin/sh
# Brings three running nodes to the state in which `concordat demo --keep` leaves them, with the commands that people would type:
# found, join, import, classify, publish, and two grants with which a researcher in Zurich can query all three. The one difference:
# Budapest's grant is not revoked. Existing state is left unchanged, so running the script again is harmless.
set -eu
umask 077

INSTITUTIONS=${INSTITUTIONS:-/institutions} # the data directories, one folder per institution
KEYS=${KEYS:-/keys}                         # their secrets, as init.sh makes them
EXCHANGE=${EXCHANGE:-/exchange}             # files that are passed between institutions
UNTIL=$(date -u -d "+180 days" +%F)
TRIES=240 # times half a second

log() { printf '\n%s\n' "$*" >&2; }

# at INSTITUTION COMMAND…: the command line of that institution's node
at() {
  institution=$1
  shift
  concordat --dir "$INSTITUTIONS/$institution" "$@"
}

# log_in INSTITUTION NAME: later commands at the institution run as that person
log_in() {
  case $2 in
    administrator) secret=administrator.password ;;
    *) secret=people.password ;;
  esac
  at "$1" login "$2" < "$KEYS/$1/$secret"
}

# await WHAT COMMAND…: waits until the command succeeds
await() {
  what=$1
  shift
  tries=0
  until "$@" > /dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -le "$TRIES" ] || { echo "$what: timed out; see the logs of the nodes" >&2; exit 5; }
    sleep 0.5
  done
}

has_peers() { at "$1" --format json status | grep -q '"connected": *2'; }

# create_user INSTITUTION NAME ROLE: the password that the administrator sets is valid for one login, in which the person sets
# their own
create_user() {
  at "$1" --format csv user list | grep -q "^$2," && return
  given="for the first login $(cat "$KEYS/$1/people.password")"
  printf '%s\n' "$given" | at "$1" user add "$2" --role "$3"
  at "$1" user training "$2" --course human-subjects-protection --until 2099-12-31
  printf '%s\n' "$given" | at "$1" login "$2"
  { printf '%s\n' "$given" && cat "$KEYS/$1/people.password"; } | at "$1" passwd
  log_in "$1" administrator
}

# init_node INSTITUTION STEWARD RESEARCHER: creates people with one role each
init_node() {
  await "the node of $1" at "$1" status
  log_in "$1" administrator
  create_user "$1" "$2" steward
  create_user "$1" "$3" researcher
}

# join_consortium INSTITUTION: it applies to Cleveland, the founder, and joins with the roster that it receives
join_consortium() {
  at "$1" consortium roster verify > /dev/null 2>&1 && return
  at "$1" consortium enrol > "$EXCHANGE/$1.enrollment"
  at cleveland consortium admit "$EXCHANGE/$1.enrollment"
  at cleveland consortium roster show --armor > "$EXCHANGE/roster"
  at "$1" consortium join "$EXCHANGE/roster"
}

# publish_cohort INSTITUTION STEWARD: imports the cohort, classifies each column, and publishes it
publish_cohort() {
  log_in "$1" "$2"
  at "$1" dataset show heart > /dev/null 2>&1 ||
    at "$1" dataset import heart --from "$EXCHANGE/cohorts/$1.csv" --subject-column record_number
  at "$1" dataset classify heart \
    record_number=direct-identifier name=direct-identifier \
    birth_date=quasi-identifier postcode=quasi-identifier age=quasi-identifier \
    sex=sensitive cp=sensitive trestbps=sensitive chol=sensitive fbs=sensitive restecg=sensitive thalach=sensitive \
    exang=sensitive oldpeak=sensitive slope=sensitive ca=sensitive thal=sensitive num=sensitive
  at "$1" dataset limits heart --sensitive records
  at "$1" dataset publish heart
}

has_state() { at zurich --format json grant show "$1" | grep -q "\"state\": *\"$2\""; }

# agree PROVIDER: Zurich requests, the provider offers what its policy allows, Zurich accepts; the signatures follow automatically
agree() {
  at zurich --format csv grant list | grep -q ",ACTIVE,consumer,$1," && return
  grant=$(at zurich --format json grant request "$1/heart" --tier records --purpose health-research --until "$UNTIL" |
    sed -n 's/^ *"id": *"\([^"]*\)".*/\1/p' | head -n 1)
  [ -n "$grant" ] || { echo "the request to $1 returned no id" >&2; exit 1; }
  await "the request at $1" at "$1" grant show "$grant"
  at "$1" grant offer "$grant"
  await "the offer of $1" has_state "$grant" OFFERED
  at zurich grant accept "$grant"
  await "the grant of $1" has_state "$grant" ACTIVE
}

init_node cleveland susan ray
init_node budapest istvan reka
init_node zurich sophie regula

log "Cleveland founds the consortium; Budapest and Zurich join."
at cleveland consortium roster verify > /dev/null 2>&1 || at cleveland consortium found --name "European-American Heart Study"
join_consortium budapest
join_consortium zurich
for institution in cleveland budapest zurich; do await "the peers of $institution" has_peers "$institution"; done

log "Each imports its patients, classifies the columns and publishes the dataset."
concordat demo --write-cohorts "$EXCHANGE/cohorts"
publish_cohort cleveland susan
publish_cohort budapest istvan
publish_cohort zurich sophie
rm -r "$EXCHANGE/cohorts"

log "Zurich requests access from Cleveland and Budapest."
log_in zurich regula
agree cleveland
agree budapest

log "Ready. Regula in Zurich queries all three:"
log "docker compose exec zurich concordat query 'SELECT sex, count(*), avg(chol) FROM consortium.heart GROUP BY sex'"
