//! What `larder cache` shows.
