# The environment of every node, head and workers alike: ~/.bashrc sources it, and Ray opens every shell with that. Source
# it in your own bash, too, to reach the cluster from there without SSH.

export PATH="$HOME/dpgan-tune/.venv/bin:$PATH"

# Everything that talks to the cluster must show the token in ~/.ray/auth_token.
export RAY_AUTH_MODE=token

# Ray's three Prometheus servers listen on every interface and ask for no token. The first has a switch; the other two
# have none, and a port that cannot be opened keeps them shut (Ray notes it in its log and goes on).
export RAY_enable_metrics_collection=0
export AUTOSCALER_METRIC_PORT=-1
export DASHBOARD_METRIC_PORT=-1

# A worker whose head is gone, after `ray down` say, ends itself after so many seconds.
export RAY_gcs_rpc_server_reconnect_timeout_s=30

# Where cluster.yaml mounts a store that outlives the machines, it says in the file store, beside this one, which of its
# folders has the ledgers and their keys.
dpgan_tune_here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
if [ -e "$dpgan_tune_here/store" ]; then
    DPGAN_TUNE_DATA="$(cat "$dpgan_tune_here/store")"
    export DPGAN_TUNE_DATA
fi

# Encryption of what Ray sends between nodes, where `python clusters/encrypt.py` made a certificate: the folder tls beside
# this file travels to every node. A node or a client that has none is not talked to. No certificate, no encryption.
dpgan_tune_tls="$dpgan_tune_here/tls"
if [ -e "$dpgan_tune_tls/node.crt" ]; then
    export RAY_USE_TLS=1
    export RAY_TLS_CA_CERT="$dpgan_tune_tls/ca.crt"
    export RAY_TLS_SERVER_CERT="$dpgan_tune_tls/node.crt"
    export RAY_TLS_SERVER_KEY="$dpgan_tune_tls/node.key"
elif [ "${RAY_TLS_SERVER_CERT:-}" = "$dpgan_tune_tls/node.crt" ]; then
    unset RAY_USE_TLS RAY_TLS_CA_CERT RAY_TLS_SERVER_CERT RAY_TLS_SERVER_KEY # it was deleted since
fi
unset dpgan_tune_here dpgan_tune_tls
