//! The client of the unix socket, as `ipblock-ctl` uses it.
