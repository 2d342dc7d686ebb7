# The environment of every node, head and workers alike: ~/.bashrc sources it, and Ray opens every shell with that.

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
