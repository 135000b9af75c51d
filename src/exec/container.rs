//! Runs commands in a container, by `docker exec`.
