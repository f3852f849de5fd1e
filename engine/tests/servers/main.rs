//! Engines on MySQL and MariaDB servers of their own, each set up as one that
//! shops really run: odd sessions, TLS, and servers that cannot be used.

mod login;
mod lost;
mod server;
mod sessions;
mod work;
