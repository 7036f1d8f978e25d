#!/bin/sh
# Brings three running nodes to where `concordat demo --keep` leaves them, with the commands that people would type: found,
# join, import, classify, publish, and two grants that let a researcher in Zurich ask all three. The one difference: nobody
# revokes Budapest's grant. What is there already is left as it is, so running it again is harmless.
set -eu
umask 077

INSTITUTIONS=${INSTITUTIONS:-/institutions} # the data directories, one folder an institution
KEYS=${KEYS:-/keys}                         # their secrets, as init.sh makes them
EXCHANGE=${EXCHANGE:-/exchange}             # what passes from one to the other
UNTIL=$(date -u -d "+180 days" +%F)
TRIES=240 # times half a second

say() { printf '\n%s\n' "$*" >&2; }

# at INSTITUTION COMMAND…: the command line of that institution's node
at() {
  institution=$1
  shift
  concordat --dir "$INSTITUTIONS/$institution" "$@"
}

# log_in INSTITUTION NAME: later commands at the institution are that person's
log_in() {
  case $2 in
    administrator) secret=administrator.password ;;
    *) secret=people.password ;;
  esac
  at "$1" login "$2" < "$KEYS/$1/$secret"
}

# await WHAT COMMAND…: until the command succeeds
await() {
  what=$1
  shift
  tries=0
  until "$@" > /dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -le "$TRIES" ] || { echo "$what: waited in vain; the logs of the nodes say more" >&2; exit 5; }
    sleep 0.5
  done
}

has_peers() { at "$1" --format json status | grep -q '"connected": *2'; }

# hire INSTITUTION NAME ROLE
hire() {
  at "$1" --format csv user list | grep -q "^$2," && return
  at "$1" user add "$2" --role "$3" < "$KEYS/$1/people.password"
  at "$1" user training "$2" --course human-subjects-protection --until 2099-12-31
}

# settle INSTITUTION STEWARD RESEARCHER: people with one duty each
settle() {
  await "the node of $1" at "$1" status
  log_in "$1" administrator
  hire "$1" "$2" steward
  hire "$1" "$3" researcher
}

# unite INSTITUTION: it applies to Cleveland, the founder, and joins with the roster that comes back
unite() {
  at "$1" consortium roster verify > /dev/null 2>&1 && return
  at "$1" consortium enrol > "$EXCHANGE/$1.enrolment"
  at cleveland consortium admit "$EXCHANGE/$1.enrolment"
  at cleveland consortium roster show --armour > "$EXCHANGE/roster"
  at "$1" consortium join "$EXCHANGE/roster"
}

# share INSTITUTION STEWARD: imports the cohort, says what each column is, and publishes it
share() {
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

stands_at() { at zurich --format json grant show "$1" | grep -q "\"state\": *\"$2\""; }

# agree PROVIDER: Zurich asks, the provider offers what its policy allows, Zurich accepts; the signatures follow by themselves
agree() {
  at zurich --format csv grant list | grep -q ",ACTIVE,consumer,$1," && return
  grant=$(at zurich --format json grant request "$1/heart" --tier records --purpose health-research --until "$UNTIL" |
    sed -n 's/^ *"id": *"\([^"]*\)".*/\1/p' | head -n 1)
  [ -n "$grant" ] || { echo "the request to $1 returned no id" >&2; exit 1; }
  await "the request at $1" at "$1" grant show "$grant"
  at "$1" grant offer "$grant"
  await "the offer of $1" stands_at "$grant" OFFERED
  at zurich grant accept "$grant"
  await "the grant of $1" stands_at "$grant" ACTIVE
}

settle cleveland susan ray
settle budapest istvan reka
settle zurich sophie regula

say "Cleveland founds the consortium; Budapest and Zurich join."
at cleveland consortium roster verify > /dev/null 2>&1 || at cleveland consortium found --name "European-American Heart Study"
unite budapest
unite zurich
for institution in cleveland budapest zurich; do await "the peers of $institution" has_peers "$institution"; done

say "Each imports its patients, classifies the columns and publishes the dataset."
concordat demo --write-cohorts "$EXCHANGE/cohorts"
share cleveland susan
share budapest istvan
share zurich sophie
rm -r "$EXCHANGE/cohorts"

say "Zurich asks Cleveland and Budapest for access."
log_in zurich regula
agree cleveland
agree budapest

say "Ready. Regula in Zurich asks all three:"
say "docker compose exec zurich concordat query 'SELECT sex, count(*), avg(chol) FROM consortium.heart GROUP BY sex'"
