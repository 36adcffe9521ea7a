//! Bobchat, the server.
