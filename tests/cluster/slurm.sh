#!/usr/bin/env bash
# A real Slurm of two nodes on this machine: slurmctld, two slurmd and munged, on loopback only, without systemd.
# Everything lies in the folder given. Needs root.
#
#     slurm.sh FOLDER up      # start it; SLURM_CONF=FOLDER/etc/slurm.conf then reaches it
#     slurm.sh FOLDER down    # cancel its jobs, end it, remove the folder
#
# What it took to make this work:
#  * NoInAddrAny has srun listen on the address of its node's name, so all names must be the same address; each slurmd
#    therefore has a host name and an /etc/hosts of its own, in namespaces.
#  * gres.conf needs device files: a count alone leaves the nodes invalid. /dev/null's numbers will do.
#  * cred_expire also sets how long a job that is queued again waits: 120 s by default.
#  * Time limits are whole minutes, looked at every 30 s, and their signal may come up to a minute early.
set -euo pipefail
FOLDER=$1
PORT=${SLURM_TEST_PORT:-17817}
NODES=(node1 node2)
HOST=$(hostname -s)
export SLURM_CONF=$FOLDER/etc/slurm.conf

die() { echo "slurm.sh: $*" >&2; exit 1; }

installed() { command -v slurmctld && command -v slurmd && command -v munged && command -v srun; }

install_slurm() {
    installed >/dev/null && return
    command -v apt-get >/dev/null || die "install slurmctld, slurmd, the Slurm client and munge"
    apt-get update -qq >/dev/null
    # RUNLEVEL=1 keeps the packages from starting daemons of their own.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq --no-install-recommends \
        slurmctld slurmd slurm-client munge >/dev/null
}

configure() {
    install -d -m 755 "$FOLDER" "$FOLDER"/{etc,state,spool,log,run,dev}
    install -d -m 755 -o munge -g munge "$FOLDER/munge"
    (umask 077; head -c 1024 /dev/urandom >"$FOLDER/munge/key")
    chown munge:munge "$FOLDER/munge/key"
    { echo "127.0.0.1 localhost $HOST"; printf '127.0.0.1 %s\n' "${NODES[@]}"; } >"$FOLDER/etc/hosts"
    local names; names=$(IFS=,; echo "${NODES[*]}")
    cat >"$SLURM_CONF" <<CONF
ClusterName=here
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$FOLDER/munge/socket,cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool/%n
SlurmctldPidFile=$FOLDER/run/slurmctld.pid
SlurmdPidFile=$FOLDER/run/slurmd.%n.pid
SlurmctldLogFile=$FOLDER/log/slurmctld.log
SlurmdLogFile=$FOLDER/log/slurmd.%n.log
MailProg=/bin/true
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,sched_interval=2,bf_interval=2
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
KillWait=10
MinJobAge=300
CONF
    local number=0 name
    for name in "${NODES[@]}"; do
        number=$((number + 1))
        echo "NodeName=$name NodeHostname=$name NodeAddr=127.0.0.1 Port=$((PORT + number))" \
            "CPUs=2 RealMemory=24000 Gres=gpu:2 State=UNKNOWN" >>"$SLURM_CONF"
    done
    echo "PartitionName=test Nodes=$names Default=YES DefaultTime=5 MaxTime=60 State=UP" >>"$SLURM_CONF"
    mknod "$FOLDER/dev/nvidia0" c 1 3
    mknod "$FOLDER/dev/nvidia1" c 1 3
    echo "NodeName=$names Name=gpu File=$FOLDER/dev/nvidia[0-1]" >"$FOLDER/etc/gres.conf"
}

start() {
    setpriv --reuid munge --regid munge --clear-groups munged --key-file="$FOLDER/munge/key" \
        --socket="$FOLDER/munge/socket" --pid-file="$FOLDER/munge/munged.pid" \
        --seed-file="$FOLDER/munge/seed" --log-file="$FOLDER/munge/log"
    (cd "$FOLDER" && exec slurmctld -c) </dev/null
    local name
    for name in "${NODES[@]}"; do
        mkdir -p "$FOLDER/spool/$name"
        unshare --uts --mount --propagation slave sh -c \
            'hostname "$1" && mount --bind "$2" /etc/hosts && cd "$3" && exec slurmd -N "$1"' \
            sh "$name" "$FOLDER/etc/hosts" "$FOLDER" </dev/null
    done
    for ((try = 0; try < 150; try++)); do
        [ "$(sinfo -h -N -o '%t' 2>/dev/null | grep -cx idle)" = "${#NODES[@]}" ] && return
        sleep 0.2
    done
    grep -h error "$FOLDER"/log/*.log | tail -20 >&2
    die "the nodes did not become idle"
}

daemons() {
    local file
    for file in "$FOLDER"/run/slurmd.*.pid "$FOLDER/run/slurmctld.pid" "$FOLDER/munge/munged.pid"; do
        [ -s "$file" ] && cat "$file" && echo
    done
    return 0
}

stop() {
    timeout 10 scancel --state=PENDING,RUNNING,SUSPENDED --user="$(id -un)" 2>/dev/null || true
    for ((try = 0; try < 100; try++)); do
        [ -z "$(timeout 5 squeue -h 2>/dev/null)" ] && break
        sleep 0.2
    done
    local all pid; all=$(daemons)
    for pid in $all; do kill "$pid" 2>/dev/null || true; done
    for ((try = 0; try < 50; try++)); do
        for pid in $all; do [ -d "/proc/$pid" ] && sleep 0.1 && continue 2; done
        break
    done
    local process
    for process in /proc/[0-9]*; do # what a job left when its daemons went
        tr '\0' '\n' 2>/dev/null <"$process/environ" | grep -qx "SLURM_CONF=$SLURM_CONF" &&
            [ "${process#/proc/}" != $$ ] && [ "${process#/proc/}" != $PPID ] && all+=" ${process#/proc/}"
    done
    for pid in $all; do kill -9 "$pid" 2>/dev/null || true; done
    rm -rf "$FOLDER"
}

case ${2:-} in
    up) install_slurm; configure; start ;;
    down) stop ;;
    *) die "usage: slurm.sh FOLDER up|down" ;;
esac
